"""``runbook steps``, ``playbooks`` and ``schema``: what a playbook can say, drawn from the declarations that validation
uses, and what is shipped. ``python -m runbook.cli.catalog`` prints the reference page (``make docs``).
"""

from __future__ import annotations

import sys
from pathlib import Path

from runbook.errors import NoStepError
from runbook.files import read_limited
from runbook.playbook.diagnostics import did_you_mean
from runbook.playbook.model import Field, StepDeclaration
from runbook.playbook.parser import parse_playbook
from runbook.playbook.reader import MAX_BYTES
from runbook.playbook.types import format_duration, is_number
from runbook.shipped_playbooks import shipped_names, shipped_path
from runbook.steps.registry import CATALOG, NAMES

OURS = "runbook"


def format_steps() -> list[str]:
    """A line for each step type: its name, effect, where it comes from, and what it does."""
    from runbook.steps.extensions import Broken, all_of

    rows = [(step.name, step.effect.value, OURS, step.summary) for step in CATALOG.ours.values()]
    for found in all_of(NAMES):
        if isinstance(found, Broken):
            rows.append((found.name, "BROKEN", found.origin, found.reason))
        else:
            rows.append((found.name, found.declaration.effect.value, found.origin, found.declaration.summary))
    width = max(len(origin) for _, _, origin, _ in rows)
    return [f"{name:<20} {effect:<8} {origin:<{width}}  {summary}" for name, effect, origin, summary in rows]


def format_step(name: str) -> list[str]:
    """All about one step type.

    Raises:
        NoStepError: No step has this name, or it is an extension that cannot be used.
    """
    if name in NAMES:
        return _format_declaration(CATALOG[name], OURS)
    from runbook.steps.extensions import Broken, one_of

    found = one_of(name, NAMES)
    if found is None:
        raise NoStepError(f"there is no step {name}", did_you_mean(name, list(CATALOG)) or "See `runbook steps`")
    if isinstance(found, Broken):
        raise NoStepError(f"the step {name} of {found.origin} cannot be used: {found.reason}")
    return _format_declaration(found.declaration, found.origin)


def _format_declaration(step: StepDeclaration, origin: str) -> list[str]:
    lines = [f"{step.name} ({step.effect.value}, from {origin})", f"  {step.summary}"]
    for title, rows in (
        ("with:", [(field, format_field(field)) for field in step.parameters]),
        ("result:", [(field, field.summary) for field in step.results]),
    ):
        if rows:
            lines += ["", title]
            lines += [f"  {field.name:<15} {format_type(field):<24} {text}" for field, text in rows]
        if rows and title == "with:":
            lines += [f"  exactly one of: {', '.join(step.exactly_one)}"] if step.exactly_one else []
            lines += [f"  at most one of: {', '.join(step.at_most_one)}"] if step.at_most_one else []
    lines += ["", f"already done?  {step.observe}"] if step.observe else []
    lines += ["", f"in a dry run:  {step.shadow}"] if step.shadow else []
    return lines + (["", "example:", *(f"  {line}" for line in step.example.splitlines())] if step.example else [])


def format_field(field: Field) -> str:
    """What a parameter is for, its default as a playbook would write it, and whether a secret may stand in it."""
    default = field.default
    if field.required:
        given = "required"
    elif default is None:
        given = "optional"
    elif field.type == "duration" and is_number(default):
        given = f"default {format_duration(default)}"
    else:
        given = f"default {str(default).lower() if isinstance(default, bool) else default}"
    return f"{field.summary} ({given}{'; may hold a secret' if field.secret_ok else ''})"


def format_type(field: Field) -> str:
    """The type with its bounds, short: ``int 1..100``."""
    if field.choices:
        return " | ".join(str(choice) for choice in field.choices)
    low, high = (
        "" if bound is None else format_duration(bound) if field.type == "duration" else f"{bound:g}"
        for bound in (field.min, field.max)
    )
    if low and high:
        return f"{field.type} {low}..{high}"
    return f"{field.type} from {low}" if low else field.type


def format_playbooks(state: Path, now: str) -> list[str]:
    """A line for each playbook that is shipped: its name and its summary, and when it was rehearsed or proven where
    it was.
    """
    from runbook.session.practice import format_practices, read_practices

    practices = read_practices(state)
    playbooks = {name: parse_playbook(_read(name), shipped_path(name), CATALOG) for name in shipped_names()}
    width = max(map(len, playbooks), default=0)
    lines = []
    for name, playbook in playbooks.items():
        lines.append(f"{name:<{width}}  {playbook.summary}".rstrip())
        if known := practices.get(playbook.name):
            lines.append(f"{'':<{width}}  {format_practices(known, playbook.digest, now)}")
    return lines


def playbook_text(name: str) -> str:
    """The whole file, from which one of your own can begin. Raises NoPlaybookError."""
    return _read(name).decode()


def _read(name: str) -> bytes:
    return read_limited(Path(shipped_path(name)), MAX_BYTES)


def format_schema() -> str:
    """The JSON Schema of a playbook that may use every step of the catalogue."""
    import json

    from runbook.playbook.schema import playbook_schema

    return json.dumps(playbook_schema(CATALOG), ensure_ascii=False, indent=2)


def format_inventory_schema() -> str:
    """The JSON Schema of an inventory."""
    import json

    from runbook.cluster.inventory.schema import inventory_schema

    return json.dumps(inventory_schema(), ensure_ascii=False, indent=2)


def format_scenario_schema() -> str:
    """The JSON Schema of a scenario."""
    import json

    from runbook.simulation.scenario_schema import scenario_schema

    return json.dumps(scenario_schema(), ensure_ascii=False, indent=2)


SCHEMAS = {"playbook": format_schema, "inventory": format_inventory_schema, "scenario": format_scenario_schema}

_REFERENCE_HEAD = """\
# Playbook reference: the steps

Written by `make docs` from the declarations that validation uses, so that they cannot disagree. `runbook steps NAME`
tells the same in a terminal, and there also of the steps that other packages add ([how](example-extension/README.md)).

**Effect** is what a step does to the world: a *read* changes nothing; a *change* is guarded, needs an agreement and is
not made in a dry run; *unknown* is treated as a change, unless the step says `effect: read` beside its `uses`. A secret
is allowed only where a parameter says so, and never where others could read it.
"""


def format_reference() -> str:
    """The reference page of our own steps, as Markdown."""
    steps = CATALOG.ours.values()
    index = [f"| [`{s.name}`](#{s.name.replace('.', '')}) | {s.effect.value} | {s.summary} |" for s in steps]
    table = "\n".join(["| step | effect | |", "|---|---|---|", *index, ""])
    return "\n".join([_REFERENCE_HEAD, table, *(_format_reference_section(step) for step in steps)])


def _format_reference_section(step: StepDeclaration) -> str:
    parts = [f"## `{step.name}`", f"{step.summary} Effect: {step.effect.value}."]
    if step.parameters:
        parts.append(_markdown_table("with", [(field, format_field(field)) for field in step.parameters]))
    for count, choices in (("Exactly", step.exactly_one), ("At most", step.at_most_one)):
        if choices:
            parts.append(f"{count} one of {' and '.join(f'`{name}`' for name in choices)} is given.")
    if step.results:
        parts.append(_markdown_table("result", [(field, field.summary) for field in step.results]))
    parts.append(f"*Already done?* {step.observe}  \n*In a dry run:* {step.shadow}")
    return "\n\n".join([*parts, f"```yaml\n{step.example}```"]) + "\n"


def _markdown_table(title: str, rows: list[tuple[Field, str]]) -> str:
    lines = [f"| {title} | type | |", "|---|---|---|"]
    for field, text in rows:
        cells = (cell.replace("|", "\\|") for cell in (format_type(field), text))
        lines.append(f"| `{field.name}` | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(format_reference())
