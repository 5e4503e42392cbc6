"""Bytes to a checked :class:`Playbook`, or every error at once. Reading the file is somebody else's work."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from runbook.playbook.approval_parser import read_approval_rule
from runbook.playbook.declarations import read_params, read_secrets, report_unused
from runbook.playbook.diagnostics import Diagnostics, quoted
from runbook.playbook.expressions.static_scope import StaticScope
from runbook.playbook.expressions.static_types import types_of_fields
from runbook.playbook.mapping import Keys, MappingReader
from runbook.playbook.model import Effect, Field, Guards, Playbook, StepDeclaration, StepSpec
from runbook.playbook.reader import read_yaml
from runbook.playbook.step_outline import LISTS, name_steps, outline_steps
from runbook.playbook.step_parser import StepParser
from runbook.playbook.value_parser import ValueParser
from runbook.playbook.yaml_tree import MapNode, Node, describe_node, scalars

LANGUAGE_VERSION = 1
APPROVE = "approve"
"""The step type that asks a person, and the key of a playbook that asks for signatures."""
ASK_FOR_SIGNATURES = ("raft.confirm_recovery", "playbook.run")
"""The step types, beside those that change something, for which that key holds."""

PLAYBOOK_KEYS = Keys(
    Field("runbook", "int", "the version of the language, 1", required=True),
    Field("name", "string", "what it is called, such as remove-dead-peers; the name of its file, where it is left out"),
    Field("summary", "string", "what it does, for a person", default=""),
    Field("params", "map", "what may be given on the command line"),
    Field("secrets", "map", "where secrets are fetched from, by name: env:, file:, exec:, vault:"),
    Field("guards", "map", "what is checked before every change"),
    Field("approve", "map", "whose signatures a run that changes something needs"),
    Field(
        "unattended", "bool", "whether nobody watches its runs, so that one removes one server at most", default=False
    ),
    Field("timeout", "duration", "how long all its steps may take; its handlers have their own time", min=0.001),
    Field("steps", "list", "what is done, from top to bottom", required=True),
    Field("on_failure", "list", "steps for where the run has failed or was refused"),
    Field("finally", "list", "steps for its end, however it ended"),
)
GUARD_KEYS = Keys(
    Field("max_changes", "int", "how many changes one run may make", min=0),
    Field("min_voters", "int", "how many voters must remain", min=1),
    Field("never_worse", "bool", "whether failure tolerance may not fall below where the run began"),
    Field("cooldown", "duration", "how long after a recovery the next one needs an acknowledgement", min=0),
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def parse_playbook(data: bytes, path: str, catalogue: Mapping[str, StepDeclaration]) -> Playbook:
    """The playbook in ``data``, checked against the steps of ``catalogue``.

    Args:
        data: what the file holds.
        path: its name in errors; nothing is opened.
        catalogue: every step type by its name.

    Raises:
        PlaybookError: it cannot be used; holds every error. Nothing else is raised.
    """
    with _without_collector():
        root, diagnostics = read_yaml(data, path)
        if not isinstance(root, MapNode):
            message = f"a playbook is a mapping, not {describe_node(root)}"
            diagnostics.fail(root.mark, message, 'It begins with "runbook: 1".')
        mapping = MappingReader(root, "the playbook", PLAYBOOK_KEYS, diagnostics)
        version = mapping.value("runbook")
        if version is not None and version != LANGUAGE_VERSION:
            mapping.report("runbook", f"is {version}, but this version of runbook reads {LANGUAGE_VERSION}")
        params, param_marks = read_params(mapping.get("params"), diagnostics)
        secrets, secret_marks = read_secrets(mapping.get("secrets"), diagnostics)
        scope = StaticScope(types_of_fields(params.values()), frozenset(secret_marks))
        written, values = mapping.get("timeout"), ValueParser(diagnostics, scope)  # it may name no step
        timeout = values.value(written, mapping.field("timeout"), mapping.label("timeout")) if written else None
        rule = read_approval_rule(mapping.get(APPROVE), mapping.label(APPROVE), diagnostics)
        guards, (steps, on_failure, finally_) = _read_body(mapping, scope, catalogue, diagnostics)
        for scalar in (scalar for node in mapping.unknown_values() for scalar in scalars(node)):
            scope.use_mentioned(scalar.text)
        _warn_of_needless_approval(mapping, (*steps, *on_failure, *finally_), diagnostics)
        if steps:
            report_unused("params", scope.used_params, param_marks, diagnostics)
            report_unused("secrets", scope.used_secrets, secret_marks, diagnostics)
        name, summary = _read_name(mapping, path), mapping.value("summary")
        unattended = mapping.value("unattended") is True
        diagnostics.raise_if_any()
    given, told = tuple(params.values()), diagnostics.warnings
    lists = guards, steps, secrets, on_failure, finally_
    return Playbook(name, summary, path, data, given, *lists, timeout, told, approval=rule, unattended=unattended)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Nothing here makes a cycle, and looking through a growing tree for some is half of the time for a large file."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _read_name(mapping: MappingReader, path: str) -> str:
    """As it is written, or the file's without its suffix."""
    name: str | None
    written = mapping.get("name") is not None
    if written:
        name = mapping.value("name")
    else:
        from pathlib import PurePath  # slow, and seldom needed

        name = PurePath(path).stem
    if name is None or _NAME.fullmatch(name):
        return name or ""
    better = re.sub(r"[^A-Za-z0-9._]+", "-", name).strip("-._").lower()[:64]
    rule = "needs letters, digits and . _ -, 64 at most, as files and metrics are named after it"
    suggestion = f"Did you mean {quoted(better)}?" if _NAME.fullmatch(better) else None
    if written:
        mapping.report("name", f'{rule}; "summary" takes any text', suggestion)
    else:
        mapping.report("name", f"is left out, and that of the file, {quoted(name)}, cannot take its place: it {rule}")
    return ""


def _warn_of_needless_approval(mapping: MappingReader, steps: tuple[StepSpec, ...], diagnostics: Diagnostics) -> None:
    """Whoever wrote it must not believe that signatures are asked for where they are not."""
    asking = any(inner.guarded or inner.uses in ASK_FOR_SIGNATURES for step in steps for inner in step.inner())
    if mapping.get(APPROVE) is not None and not asking:
        message = f"{mapping.label(APPROVE)} holds for none of its steps, as none of them changes anything"
        diagnostics.warn(mapping.mark(APPROVE), message)


def _read_body(
    mapping: MappingReader, scope: StaticScope, catalogue: Mapping[str, StepDeclaration], diagnostics: Diagnostics
) -> tuple[Guards, list[tuple[StepSpec, ...]]]:
    """The guards, and the three lists of steps."""
    outlines = {key: outline_steps(mapping.get(key), key, diagnostics) for key in LISTS}
    every = [inner for key in LISTS for outline in outlines[key] for inner in outline.walk()]
    scope.shared = name_steps(every, diagnostics)
    scope.later = {outline.id: outline.mark.line for outline in reversed(every) if outline.id and outline.named}
    guards = _read_guards(mapping.get("guards"), scope, diagnostics)  # they may name no step
    parser = StepParser(catalogue, scope, diagnostics)
    lists = [parser.read(outlines["steps"])]
    before = [outline.id for outline in outlines["steps"]]
    for key in ("on_failure", "finally"):
        lists.append(parser.read_handler(outlines[key], before, "run", f'the "{key}" of the playbook'))
    written = mapping.get("guards")
    if written is None or (isinstance(written, MapNode) and not written.entries):
        unguarded = _UnguardedSteps(diagnostics)
        for steps in lists:
            unguarded.report(steps)
    return guards, lists


def _read_guards(node: Node | None, scope: StaticScope, diagnostics: Diagnostics) -> Guards:
    if node is None:
        return Guards()
    if not isinstance(node, MapNode):
        diagnostics.add(node.mark, f'"guards" must be a mapping, not {describe_node(node)}')
        return Guards()
    mapping = MappingReader(node, "guards", GUARD_KEYS, diagnostics)
    parser = ValueParser(diagnostics, scope)
    values = {}
    for field in GUARD_KEYS:
        written = mapping.get(field.name)
        values[field.name] = parser.value(written, field, f"guard {quoted(field.name)}") if written else None
    return Guards(**values)


class _UnguardedSteps:
    """Reports what may change something in a playbook without ``guards:``, under no limit that a person wrote down.

    Decision 0020 says why that is an error.
    """

    def __init__(self, diagnostics: Diagnostics) -> None:
        self._diagnostics = diagnostics
        self._reported_change = False

    def report(self, steps: tuple[StepSpec, ...], *, approved: bool = False) -> None:
        """Report the first changing step, and every step of unknown effect that no person approves.

        ``steps`` is one list in reading order; ``approved`` says that a person was asked before it begins.
        """
        for step in steps:
            if step.uses and step.guarded:
                self._report_one(step, approved)
            self.report(step.steps, approved=approved)
            self.report(step.on_failure)  # it is run as well where the person said no
            self.report(step.finally_)
            always = step.condition is None and step.for_each is None and not step.continue_on_failure
            approved = approved or (step.uses == APPROVE and always)

    def _report_one(self, step: StepSpec, approved: bool) -> None:
        if step.effect is Effect.CHANGE and not self._reported_change:
            self._reported_change = True
            message = f"{step.uses} changes the cluster, but the playbook has no guards"
            self._diagnostics.add(step.mark, message, "Add guards: { max_changes: 1, never_worse: true }.")
        if step.effect is Effect.UNKNOWN and not approved:
            message = f"the effect of {step.uses} is unknown, and nothing limits it"
            suggestion = "Add effect: read if it only reads; else guards, or an approve step."
            self._diagnostics.add(step.mark, message, suggestion)
