"""``runbook steps``: what a playbook can say, drawn from the declarations that validation uses."""

from __future__ import annotations

from runbook.playbook.durations import format_duration
from runbook.playbook.faults import did_you_mean
from runbook.playbook.model import Field, StepDeclaration
from runbook.steps.catalog import CATALOG


def listed() -> list[str]:
    """A line for each step type."""
    return [f"{step.name:<20} {step.effect.value:<8} {step.summary}" for step in CATALOG.values()]


def told(name: str) -> list[str]:
    """One step type whole. Raises KeyError with what may have been meant."""
    if name not in CATALOG:
        raise KeyError(f"there is no step {name}. {did_you_mean(name, list(CATALOG)) or 'See `runbook steps`'}")
    return _told(CATALOG[name])


def _told(step: StepDeclaration) -> list[str]:
    lines = [f"{step.name} ({step.effect.value})", f"  {step.summary}"]
    lines += ["", "with:", *(_parameter(field) for field in step.parameters)] if step.parameters else []
    return [*lines, "", "result:", *(f"  {f.name:<12} {f.type:<9} {f.summary}" for f in step.results)]


def _parameter(field: Field) -> str:
    default = field.default
    if field.type == "duration" and default is not None:
        default = format_duration(default)
    end = "required" if field.required else f"default {default}"
    return f"  {field.name:<12} {field.type:<9} {field.summary} ({end})"
