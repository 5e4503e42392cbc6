"""A run as JUnit XML, for a CI that shows rehearsals and checks beside its tests: one suite, each step a case."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from runbook.printable import printable_line
from runbook.report.story import StepTold, Story

GOOD = ("succeeded", "skipped")


def format_junit(story: Story) -> str:
    """A step that was refused is a failure of that type; one that had no end is an error."""
    started = story.state.started or {}
    cases = [_case(step, str(started.get("playbook", "?"))) for step in story.steps.values()]
    suite = ET.Element(
        "testsuite",
        name=printable_line(str(started.get("playbook", "?"))),
        tests=str(len(cases)),
        failures=str(sum(case.find("failure") is not None for case in cases)),
        errors=str(sum(case.find("error") is not None for case in cases)),
        skipped=str(sum(case.find("skipped") is not None for case in cases)),
        time=f"{story.seconds:.3f}",
        timestamp=str(started.get("at", "")),
    )
    suite.extend(cases)
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def format_expectations_junit(name: str, rows: Sequence[tuple[str, str, str, bool]], seconds: float) -> str:
    """A rehearsal: each thing that was expected is a case, as (what, expected, came, whether it holds)."""
    failures = str(sum(not holds for *_, holds in rows))
    suite = ET.Element("testsuite", name=printable_line(name), tests=str(len(rows)), failures=failures,
                       errors="0", skipped="0", time=f"{seconds:.3f}")  # fmt: skip
    for what, expected, came, holds in rows:
        case = ET.SubElement(suite, "testcase", classname=printable_line(name), name=printable_line(what), time="0.000")
        if not holds:
            message = printable_line(f"expected {expected}, came {came}")
            ET.SubElement(case, "failure", type="expectation", message=message)
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _case(step: StepTold, playbook: str) -> ET.Element:
    case = ET.Element(
        "testcase", classname=printable_line(playbook), name=printable_line(step.place), time=f"{step.seconds:.3f}"
    )
    words = printable_line(step.message)
    if step.outcome == "skipped":
        ET.SubElement(case, "skipped", message=words)
    elif step.outcome == "unfinished":
        ET.SubElement(case, "error", type=step.outcome, message=words or "it has no end on record")
    elif step.outcome not in GOOD:
        ET.SubElement(case, "failure", type=step.outcome, message=words)
    return case
