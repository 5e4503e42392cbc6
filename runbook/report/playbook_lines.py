"""The text of a playbook, line by line, with what became of the steps that stand there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from runbook.dataclass import dataclass
from runbook.playbook.types import without_credentials
from runbook.report.story import StepTold

MOST_LINES = 2000
ORDER = ("failed", "refused", "interrupted", "unfinished", "succeeded", "skipped")  # what matters most first
SIGNS: Mapping[str, str] = {
    "succeeded": "✓",
    "failed": "✗",
    "refused": "✗",
    "interrupted": "‖",
    "unfinished": "?",
    "skipped": "–",
}


@dataclass(frozen=True)
class PlaybookText:
    """The text with which a run began, and where each step of it begins: line and column, both counted from 1.

    ``trouble`` says why there is none.
    """

    text: str = ""
    steps: Mapping[str, tuple[int, int]] | None = None
    trouble: str = ""


@dataclass(frozen=True)
class Line:
    """One line of it. ``outcome`` is that of the step to which the line belongs; ``sign`` stands at its first line."""

    number: int
    text: str
    outcome: str = ""
    sign: str = ""


def marked_lines(playbook: PlaybookText, steps: Iterable[StepTold]) -> Sequence[Line]:
    """Every line with what became of its step; steps that were not reached have no outcome."""
    texts = playbook.text.split("\n")[:MOST_LINES]
    outcomes = _outcomes(steps)
    begins = {line: (name, column) for name, (line, column) in (playbook.steps or {}).items()}
    lines = []
    outcome, column = "", 0
    for number, text in enumerate(texts, start=1):
        sign = ""
        if number in begins:
            name, column = begins[number]
            outcome = outcomes.get(name, "")
            sign = SIGNS.get(outcome, "")
        elif outcome and text.strip() and len(text) - len(text.lstrip()) < column - 1:
            outcome = ""  # what stands further left is no part of the step
        lines.append(Line(number, without_credentials(text.rstrip("\r")), outcome, sign))
    return lines


def _outcomes(steps: Iterable[StepTold]) -> dict[str, str]:
    """By the name of each step; of one that ran in many places, the one that matters most."""
    found: dict[str, str] = {}
    for step in steps:
        if "/" in step.place:  # of another playbook, which this one ran
            continue
        name = step.place.rpartition(".")[2].removeprefix("~")
        if name not in found or _rank(step.outcome) < _rank(found[name]):
            found[name] = step.outcome
    return found


def _rank(outcome: str) -> int:
    return ORDER.index(outcome) if outcome in ORDER else len(ORDER)
