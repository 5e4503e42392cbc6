"""What is left to do by hand, in Markdown: words as plain text, and commands in fences to be pasted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from runbook.by_hand import HandPlan, HandStep, Instruction
from runbook.printable import printable
from runbook.report.plain_words import plain_words

HOW = (
    "Each block is for a POSIX shell, from top to bottom. One that removes a server looks first, and stops by itself "
    "where anything is not as it must be: stop there too, and look again."
)


def format_by_hand(plan: HandPlan) -> str:
    """The whole page."""
    lines = [f"# {plain_words(plan.title)}", "", *(plain_words(line) for line in plan.origin), ""]
    if plan.refusal:
        lines += [*map(plain_words, plan.refusal.splitlines()), "", "So no command is given."]
        return "\n".join([*lines, ""])
    lines += [HOW, ""]
    if plan.done:
        lines += [f"Done already: {', '.join(map(plain_words, plan.done))}.", ""]
    if not plan.steps:
        return "\n".join([*lines, "Nothing is left.", ""])
    lines += ["## The cluster", "", *_instructions(plan.door)]
    for number, step in enumerate(plan.steps, start=1):
        lines += _step(number, step)
    return "\n".join(lines)


def _step(number: int, step: HandStep) -> Iterator[str]:
    yield from (f"## {number}. {plain_words(step.place)} ({plain_words(step.uses)})", "")
    if step.seen:
        yield from (*(f"> {plain_words(line)}  " for line in step.seen.splitlines()), "")
    yield from _instructions(step.instructions)


def _instructions(instructions: Iterable[Instruction]) -> Iterator[str]:
    for one in instructions:
        if one.text:
            yield from (plain_words(one.text), "")
        if one.shell:
            text = printable("\n".join(one.shell))
            fence = "`" * max(3, *(len(ticks) + 1 for ticks in re.findall("`+", text)), 3)
            yield from (f"{fence}sh", text, fence, "")
