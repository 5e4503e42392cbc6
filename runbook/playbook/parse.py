"""Bytes to a checked :class:`Playbook`, or every fault at once. Reading the file is somebody else's work."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from runbook.playbook.declare import read_params, told_unused
from runbook.playbook.environment import Environment
from runbook.playbook.faults import Faults, quoted
from runbook.playbook.guarding import Guarding
from runbook.playbook.heads import LISTS, heads_of, refuse_duplicates
from runbook.playbook.model import Field, Guards, Playbook, StepDeclaration, StepSpec
from runbook.playbook.nodes import MapNode, Node, kind, scalars
from runbook.playbook.reader import read
from runbook.playbook.references import read_secrets
from runbook.playbook.sections import Keys, Section
from runbook.playbook.shapes import shape_of
from runbook.playbook.steps import StepsReader
from runbook.playbook.templates import Reader

LANGUAGE_VERSION = 1

PLAYBOOK_KEYS = Keys(
    Field("runbook", "int", "the version of the language, 1", required=True),
    Field("name", "string", "what it is called, such as remove-dead-peers", required=True),
    Field("summary", "string", "what it does, for a person", default=""),
    Field("params", "map", "what may be given on the command line"),
    Field("secrets", "map", "where secrets are fetched from, by name: env:, file:, exec:, vault:"),
    Field("guards", "map", "what is asked before every change"),
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


def parse(data: bytes, path: str, catalogue: Mapping[str, StepDeclaration]) -> Playbook:
    """The playbook in ``data``, checked against the steps of ``catalogue``. ``path`` is only named in faults.

    Raises :class:`PlaybookError`, and nothing else, with every fault.
    """
    with _without_collector():
        return _parse(data, path, catalogue)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Nothing here makes a cycle, and looking through a growing tree for some is half of the time for a large file."""
    import gc

    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _parse(data: bytes, path: str, catalogue: Mapping[str, StepDeclaration]) -> Playbook:
    root, faults = read(data, path)
    if not isinstance(root, MapNode):
        faults.fail(root.mark, f"a playbook is a mapping, not {kind(root)}", 'It begins with "runbook: 1".')
    section = Section(root, "the playbook", PLAYBOOK_KEYS, faults)
    _refuse_version(section)
    params, marks = read_params(section.get("params"), faults)
    secrets, secret_marks = read_secrets(section.get("secrets"), faults)
    environment = Environment({name: shape_of(param) for name, param in params.items()}, frozenset(secret_marks))
    lists = _Lists(section, environment, catalogue, faults)
    guards = _read_guards(section.get("guards"), environment, faults)
    steps, on_failure, finally_ = lists.read()
    for scalar in (scalar for node in section.unread() for scalar in scalars(node)):
        environment.use_mentioned(scalar.text)
    if steps:
        told_unused("params", environment.used, marks, faults)
        told_unused("secrets", environment.used_secrets, secret_marks, faults)
    name, summary = _read_name(section), section.value("summary")
    faults.raise_if_any()
    return Playbook(name, summary, path, data, tuple(params.values()), guards, steps, secrets, on_failure, finally_)


class _Lists:
    """The three lists of steps of a playbook. Made before the guards are read, which may name no step of them."""

    def __init__(
        self, section: Section, environment: Environment, catalogue: Mapping[str, StepDeclaration], faults: Faults
    ) -> None:
        self._heads = {key: heads_of(section.get(key), key, faults) for key in LISTS}
        every = [head for heads in self._heads.values() for head in heads for head in head.every()]
        refuse_duplicates(every, faults)
        environment.later = {head.id: head.mark.line for head in reversed(every) if head.id}
        self._guarding = Guarding(_has_guards(section), faults)
        self._reader = StepsReader(catalogue, environment, faults)

    def read(self) -> list[tuple[StepSpec, ...]]:
        steps = self._reader.read(self._heads["steps"])
        before = [head.id for head in self._heads["steps"]]
        handlers = [
            self._reader.handler(self._heads[key], before, "run", f'the "{key}" of the playbook')
            for key in ("on_failure", "finally")
        ]
        for listed in (steps, *handlers):
            self._guarding.check(listed)
        return [steps, *handlers]


def _has_guards(section: Section) -> bool:
    node = section.get("guards")
    return node is not None and not (isinstance(node, MapNode) and not node.entries)


def _refuse_version(section: Section) -> None:
    version = section.value("runbook")
    if version is not None and version != LANGUAGE_VERSION:
        section.wrong("runbook", f"is {version}, but this version of runbook reads {LANGUAGE_VERSION}")


def _read_name(section: Section) -> str:
    name: str | None = section.value("name")
    if name is None or _NAME.fullmatch(name):
        return name or ""
    better = re.sub(r"[^A-Za-z0-9._]+", "-", name).strip("-._").lower()[:64]
    rule = (
        'needs letters, digits and . _ -, 64 at most, as files and metrics are named after it; "summary" takes any text'
    )
    section.wrong("name", rule, f"Did you mean {quoted(better)}?" if _NAME.fullmatch(better) else None)
    return ""


def _read_guards(node: Node | None, environment: Environment, faults: Faults) -> Guards:
    if node is None:
        return Guards()
    if not isinstance(node, MapNode):
        faults.add(node.mark, f'"guards" must be a mapping, not {kind(node)}')
        return Guards()
    section = Section(node, "guards", GUARD_KEYS, faults)
    reader = Reader(faults, environment)
    values = {}
    for field in GUARD_KEYS:
        written = section.get(field.name)
        values[field.name] = reader.value(written, field, f"guard {quoted(field.name)}") if written else None
    return Guards(**values)
