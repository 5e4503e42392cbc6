"""The playbooks that the pages about the language show are good, and every word of it is on the page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from runbook.playbook.declarations import SECRET_FORMS
from runbook.playbook.parser import PLAYBOOK_KEYS, parse_playbook
from runbook.playbook.step_outline import STEP_KEYS
from runbook.steps.registry import CATALOG

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("playbook-language.md", "from-ansible.md")
FENCE = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHOWN = [
    pytest.param(text, id=f"{page} {number}")
    for page in PAGES
    for number, text in enumerate(FENCE.findall((DOCS / page).read_text(encoding="utf-8")))
    if re.search("^runbook: 1", text, re.MULTILINE)
]


@pytest.mark.parametrize("text", SHOWN)
def test_a_playbook_that_is_shown_is_good(text: str) -> None:
    """Whoever copies it must not read that it is wrong."""
    assert parse_playbook(text.encode(), "playbook.yaml", CATALOG).steps


def test_every_word_is_on_the_page() -> None:
    """A word that is not documented does not exist for whoever writes."""
    page = (DOCS / PAGES[0]).read_text(encoding="utf-8")
    assert [key.name for key in (*STEP_KEYS, *PLAYBOOK_KEYS) if not re.search(rf"\b{key.name}\b", page)] == []
    assert [form for form in SECRET_FORMS if f"`{form}:" not in page] == []
    assert len(SHOWN) >= 3
