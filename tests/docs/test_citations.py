"""What is cited exists: pages, their headings, and invariants, wherever code, tests, playbooks or pages name them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.docs.documented import FENCE, PAGES, ROOT

INVARIANTS = ROOT / "docs" / "invariants.md"
SUFFIXES = (".py", ".md", ".yaml", ".json", ".txt", ".toml")
FOLDERS = ("runbook", "tests", "benchmarks", "docs", "playbooks")
PATHS = {
    *PAGES,
    ROOT / "Makefile",
    ROOT / "pyproject.toml",
    *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in SUFFIXES),
}
TEXTS = {path: path.read_text(encoding="utf-8", errors="replace") for path in sorted(PATHS - {Path(__file__)})}
IN_TEXT = re.compile(r"(?<![\w./-])(docs/[\w./-]+\.md)(?:#([\w-]+))?")  # docs/servers/nomad.md#times, from the root
LINK = re.compile(r"\]\(([^)\s#]*)(?:#([^)\s]+))?\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
INVARIANT = re.compile(r"\bI(\d{1,2})\b")
ELSEWHERE = re.compile(r"\b(?:FACTS|DESIGN)\b")  # notes that the reader of the project does not have


def slugs(text: str) -> set[str]:
    """The anchors that GitHub makes of the headings of a page: lower case, no punctuation, spaces to hyphens."""
    found: Counter[str] = Counter()
    anchors = set()
    for heading in HEADING.findall(FENCE.sub("", text)):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        anchors.add(f"{slug}-{found[slug]}" if found[slug] else slug)
        found[slug] += 1
    return anchors


@cache
def anchors_of(page: Path) -> set[str]:
    return slugs(page.read_text(encoding="utf-8"))


def cited_in(path: Path, text: str) -> Iterator[tuple[Path, str]]:
    """Every page that a text names, and the anchor in it, which may be empty."""
    for page, anchor in IN_TEXT.findall(text):
        yield ROOT / page, anchor
    if path.suffix == ".md":
        for page, anchor in LINK.findall(FENCE.sub("", text)):
            if "://" not in page:
                yield (path.parent / unquote(page)).resolve() if page else path, unquote(anchor)


def missing_in(path: Path, text: str) -> list[str]:
    faults = []
    for page, anchor in cited_in(path, text):
        where = f"{path.relative_to(ROOT)} cites {page.relative_to(ROOT)}"
        if not page.exists():
            faults.append(f"{where}, which does not exist")
        elif anchor and anchor not in anchors_of(page):
            faults.append(f"{where}#{anchor}, which is no heading there")
    return faults


def test_every_cited_page_and_heading_exists() -> None:
    """A citation that leads nowhere is worse than none, and whoever renames a heading hears of it here."""
    faults = [fault for path, text in TEXTS.items() for fault in missing_in(path, text)]
    assert not faults, "\n".join(faults)


def test_every_cited_invariant_exists() -> None:
    """By number; and each has its promise, its reason, where it is held and how it is tested."""
    page = INVARIANTS.read_text(encoding="utf-8")
    numbers = [int(number) for number in re.findall(r"^## I(\d+)$", page, re.MULTILINE)]
    assert numbers == list(range(1, 18))
    for section in page.split("\n## ")[1:]:
        assert all(word in section for word in ("\n> ", "**Why.**", "**Held by**", "**Tested**")), section
    cited = {int(number) for text in TEXTS.values() for number in INVARIANT.findall(text)}
    assert cited <= set(numbers)


def test_nothing_is_cited_that_its_reader_does_not_have() -> None:
    """Facts are in docs/servers, invariants and words on their own pages; before, each stood in somebody's notes."""
    faults = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path, text in TEXTS.items()
        for number, line in enumerate(text.splitlines(), start=1)
        if ELSEWHERE.search(line)
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("runbook/raft/quorum.py", "# docs/servers/nomad.md#no-such-heading"),
        ("runbook/raft/quorum.py", "# see docs/servers/nowhere.md"),
        ("docs/safety.md", "[so](servers/raft.md#no-such-heading)"),
        ("docs/safety.md", "[so](servers/nowhere.md)"),
        ("docs/safety.md", "[so](#no-such-heading)"),
        ("docs/servers/raft.md", "[so](../../docs/nowhere)"),
    ],
)
def test_what_leads_nowhere_would_be_found(name: str, text: str) -> None:
    """The tests above can fail."""
    assert missing_in(ROOT / name, text)


def test_anchors_are_those_of_github() -> None:
    page = "# A `peers.json`, twice\n\n```sh\n# no heading\n```\n\n## Lost — or _not_? [so](x.md)\n## Twice\n## Twice\n"
    assert slugs(page) == {"a-peersjson-twice", "lost--or-_not_-so", "twice", "twice-1"}
