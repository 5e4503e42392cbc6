"""The site's table of contents has every page: `make site`, which needs tools of its own, runs by night only."""

from __future__ import annotations

import re

from tests.docs.documented import ROOT


def test_every_page_has_a_place_in_the_table_of_contents() -> None:
    """In mkdocs.yml, under `nav`; decisions by their folder."""
    named = set(re.findall(r"([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE))
    docs = ROOT / "docs"
    pages = {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")}
    assert named == {page for page in pages if not page.startswith("decisions/")}
