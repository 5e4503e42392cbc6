"""Playbooks for tests: the folders of good and bad files, and short ways to parse."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbook.errors import Diagnostic, Mark, PlaybookError
from runbook.playbook.expressions.model import Expression
from runbook.playbook.expressions.syntax import ParsedExpression, parse_expression
from runbook.playbook.model import Playbook
from runbook.playbook.parser import parse_playbook
from runbook.steps.registry import CATALOG

FILES = Path(__file__).parent.parent / "playbooks"
GOOD = sorted(FILES.glob("good/*.yaml"))
BAD = sorted(FILES.glob("bad/*.yaml"))


def parsed(text: str) -> Playbook:
    """The playbook that ``text`` holds."""
    return parse_playbook(text.encode(), "playbook.yaml", CATALOG)


def good(name: str) -> Playbook:
    """One of the good files."""
    return parse_playbook((FILES / "good" / f"{name}.yaml").read_bytes(), f"{name}.yaml", CATALOG)


def expression(text: str) -> Expression:
    """What stands in line 3 of a playbook after ``if:``. Raises PlaybookError with every error of its syntax."""
    mark = Mark("playbook.yaml", 3, 9)
    found = parse_expression(text)
    if isinstance(found, ParsedExpression):
        return found.at(mark)
    raise PlaybookError(
        tuple(
            Diagnostic(mark._replace(column=mark.column + one.offset), one.message, "", one.suggestion) for one in found
        )
    )


def diagnostics_of(data: bytes) -> tuple[Diagnostic, ...]:
    """Everything that is wrong with a playbook."""
    with pytest.raises(PlaybookError) as caught:
        parse_playbook(data, "playbook.yaml", CATALOG)
    return caught.value.diagnostics


def one_line(diagnostic: Diagnostic) -> str:
    """``line:column: message`` and the suggestion, as the ``.expected`` files have it."""
    return f"{diagnostic.mark.line}:{diagnostic.mark.column}: {diagnostic.message}" + (
        f" | {diagnostic.suggestion}" if diagnostic.suggestion else ""
    )
