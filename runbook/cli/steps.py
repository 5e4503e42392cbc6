"""``runbook steps``: what a playbook can say, drawn from the declarations that validation uses."""

from __future__ import annotations

from runbook.cli.reference import kind_of, told_of
from runbook.playbook.diagnostics import did_you_mean
from runbook.playbook.model import Field, StepDeclaration
from runbook.steps.extensions import Broken, all_of, one_of
from runbook.steps.registry import CATALOG, NAMES

OURS = "runbook"


def listed() -> list[str]:
    """A line for each step type: its name, effect, where it comes from, and what it does."""
    extensions = all_of(NAMES)
    rows = [(step.name, step.effect.value, OURS, step.summary) for step in CATALOG.ours.values()]
    for one in extensions:
        if isinstance(one, Broken):
            rows.append((one.name, "BROKEN", one.origin, one.reason))
        else:
            rows.append((one.name, one.declaration.effect.value, one.origin, one.declaration.summary))
    wide = max(len(origin) for _, _, origin, _ in rows)
    return [f"{name:<20} {effect:<8} {origin:<{wide}}  {summary}" for name, effect, origin, summary in rows]


def told(name: str) -> list[str]:
    """One step type whole. Raises KeyError with what may have been meant, or why an extension cannot be used."""
    if name in NAMES:
        return _told(CATALOG[name], OURS)
    found = one_of(name, NAMES)
    if found is None:
        raise KeyError(f"there is no step {name}. {did_you_mean(name, list(CATALOG)) or 'See `runbook steps`'}")
    if isinstance(found, Broken):
        raise KeyError(f"the step {name} of {found.origin} cannot be used: {found.reason}")
    return _told(found.declaration, found.origin)


def _told(step: StepDeclaration, origin: str) -> list[str]:
    lines = [f"{step.name} ({step.effect.value}, from {origin})", f"  {step.summary}"]
    lines += ["", "with:", *(_parameter(field) for field in step.parameters)] if step.parameters else []
    lines += [f"  exactly one of: {', '.join(step.exactly_one)}"] if step.exactly_one else []
    lines += [f"  at most one of: {', '.join(step.at_most_one)}"] if step.at_most_one else []
    lines += ["", "result:", *map(_result, step.results)] if step.results else []
    lines += ["", f"already done?  {step.observe}"] if step.observe else []
    lines += ["", f"in a dry run:  {step.shadow}"] if step.shadow else []
    return lines + (["", "example:", *(f"  {line}" for line in step.example.splitlines())] if step.example else [])


def _parameter(field: Field) -> str:
    return f"  {field.name:<15} {kind_of(field):<24} {told_of(field)}"


def _result(field: Field) -> str:
    return f"  {field.name:<15} {kind_of(field):<24} {field.summary}"
