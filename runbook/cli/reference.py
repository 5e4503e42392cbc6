"""Writes the reference of all steps from their declarations: ``make docs``. For a terminal cli/steps.py does it."""

from __future__ import annotations

import sys
from pathlib import Path

from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.playbook.types import format_duration, is_number
from runbook.steps.registry import CATALOG

HEAD = """\
# Playbook reference: the steps

Written by `make docs` from the declarations that validation uses, so that they cannot disagree. `runbook steps NAME`
tells the same in a terminal, and there also of the steps that other packages add ([how](example-extension/README.md)).

**Effect** is what a step does to the world: a *read* changes nothing; a *change* is guarded, needs an agreement and is
not made in a dry run; *unknown* is treated as a change, unless the step says `effect: read` beside its `uses`. A secret
may stand only where it is said here, and never where others could read it.
"""
EFFECTS = {Effect.READ: "read", Effect.CHANGE: "change", Effect.UNKNOWN: "unknown"}


def page() -> str:
    """The whole page, our own steps only."""
    steps = CATALOG.ours.values()
    index = "\n".join(f"| [`{s.name}`](#{_anchor(s.name)}) | {EFFECTS[s.effect]} | {s.summary} |" for s in steps)
    table = f"| step | effect | |\n|---|---|---|\n{index}\n"
    return "\n".join([HEAD, table, *(section(step) for step in steps)])


def section(step: StepDeclaration) -> str:
    """One step as Markdown."""
    parts = [f"## `{step.name}`", f"{step.summary} Effect: {EFFECTS[step.effect]}."]
    if step.parameters:
        parts.append(_table("with", [(f, told_of(f)) for f in step.parameters]))
    if step.exactly_one:
        parts.append(f"Exactly one of {_names(step.exactly_one)} is given.")
    if step.at_most_one:
        parts.append(f"At most one of {_names(step.at_most_one)} is given.")
    if step.results:
        parts.append(_table("result", [(f, f.summary) for f in step.results]))
    parts.append(f"*Already done?* {step.observe}  \n*In a dry run:* {step.shadow}")
    return "\n\n".join([*parts, f"```yaml\n{step.example}```"]) + "\n"


def told_of(field: Field) -> str:
    """What a parameter is for, its default, and whether a secret may stand in it."""
    secret = "; may hold a secret" if field.secret_ok else ""
    return f"{field.summary} ({default_of(field)}{secret})"


def kind_of(field: Field) -> str:
    """The type with its bounds, short: ``int 1..100``."""
    if field.choices:
        return " | ".join(str(choice) for choice in field.choices)
    low, high = (_bound(field, bound) for bound in (field.min, field.max))
    if low and high:
        return f"{field.type} {low}..{high}"
    return f"{field.type} from {low}" if low else field.type


def default_of(field: Field) -> str:
    """``required``, ``optional``, or the default as a playbook would write it."""
    if field.required:
        return "required"
    default = field.default
    if default is None:
        return "optional"
    if field.type == "duration" and is_number(default):
        return f"default {format_duration(default)}"
    return f"default {str(default).lower() if isinstance(default, bool) else default}"


def _bound(field: Field, bound: float | None) -> str:
    if bound is None:
        return ""
    return format_duration(bound) if field.type == "duration" else f"{bound:g}"


def _table(title: str, rows: list[tuple[Field, str]]) -> str:
    lines = [f"| `{field.name}` | {_escaped(kind_of(field))} | {_escaped(words)} |" for field, words in rows]
    return "\n".join([f"| {title} | type | |", "|---|---|---|", *lines])


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _names(names: tuple[str, ...]) -> str:
    return " and ".join(f"`{name}`" for name in names)


def _anchor(name: str) -> str:
    return name.replace(".", "")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
