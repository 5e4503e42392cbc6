"""Playbooks for tests: the folders of good and bad files, and short ways to parse."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbook.playbook.expressions import finish
from runbook.playbook.model import Expression, Fault, Mark, Playbook, PlaybookError
from runbook.playbook.parse import parse
from runbook.playbook.syntax import ParsedExpression, parse_expression
from runbook.steps.catalog import CATALOG

FILES = Path(__file__).parent.parent / "playbooks"
GOOD = sorted(FILES.glob("good/*.yaml"))
BAD = sorted(FILES.glob("bad/*.yaml"))


def parsed(text: str) -> Playbook:
    """The playbook that ``text`` holds."""
    return parse(text.encode(), "playbook.yaml", CATALOG)


def good(name: str) -> Playbook:
    """One of the good files."""
    return parse((FILES / "good" / f"{name}.yaml").read_bytes(), f"{name}.yaml", CATALOG)


def expression(text: str) -> Expression:
    """What stands in line 3 of a playbook after ``if:``. Raises PlaybookError with every fault of its syntax."""
    mark = Mark("playbook.yaml", 3, 9)
    found = parse_expression(text)
    if isinstance(found, ParsedExpression):
        return finish(found, mark)
    raise PlaybookError(
        tuple(Fault(mark._replace(column=mark.column + one.offset), one.message, "", one.suggestion) for one in found)
    )


def faults_of(data: bytes) -> tuple[Fault, ...]:
    """Everything that is wrong with a playbook."""
    with pytest.raises(PlaybookError) as caught:
        parse(data, "playbook.yaml", CATALOG)
    return caught.value.faults


def one_line(fault: Fault) -> str:
    """``line:column: message`` and the suggestion, as the ``.expected`` files have it."""
    return f"{fault.mark.line}:{fault.mark.column}: {fault.message}" + (
        f" | {fault.suggestion}" if fault.suggestion else ""
    )
