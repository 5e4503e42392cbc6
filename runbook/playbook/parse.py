"""Bytes to a checked :class:`Playbook`, or every fault at once. Reading the file is somebody else's work."""

from __future__ import annotations

import re
from collections.abc import Mapping

from runbook.playbook.check import Environment
from runbook.playbook.declare import read_params, told_unused
from runbook.playbook.faults import Faults, quoted
from runbook.playbook.model import Field, Guards, Playbook, StepDeclaration
from runbook.playbook.nodes import MapNode, Node, kind, scalars
from runbook.playbook.reader import read
from runbook.playbook.sections import Section
from runbook.playbook.shapes import shape_of
from runbook.playbook.steps import first_lines, read_steps
from runbook.playbook.templates import Reader

LANGUAGE_VERSION = 1

PLAYBOOK_KEYS = (
    Field("runbook", "int", "the version of the language, 1", required=True),
    Field("name", "string", "what it is called, such as remove-dead-peers", required=True),
    Field("summary", "string", "what it does, for a person", default=""),
    Field("params", "map", "what may be given on the command line"),
    Field("guards", "map", "what is asked before every change"),
    Field("steps", "list", "what is done, from top to bottom", required=True),
)
NOT_YET = {
    "secrets": "a secret comes from the environment only",
    "on_failure": "a failed run stops, and its journal says where",
    "finally": "nothing runs after the last step",
}
GUARD_KEYS = (
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
    root, faults = read(data, path)
    if not isinstance(root, MapNode):
        faults.fail(root.mark, f"a playbook is a mapping, not {kind(root)}", 'It begins with "runbook: 1".')
    section = Section(root, "the playbook", PLAYBOOK_KEYS, faults, NOT_YET)
    _refuse_version(section)
    params, marks = read_params(section.get("params"), faults)
    environment = Environment({name: shape_of(param) for name, param in params.items()})
    environment.later = first_lines(section.get("steps"))
    guards = _read_guards(section.get("guards"), environment, faults)
    steps = read_steps(section.get("steps"), catalogue, environment, faults)
    for scalar in (scalar for node in section.unread() for scalar in scalars(node)):
        environment.use_mentioned(scalar.text)
    if steps:
        told_unused(params, environment.used, marks, faults)
    name, summary = _read_name(section), section.value("summary")
    faults.raise_if_any()
    return Playbook(name, summary, path, _digest(data), tuple(params.values()), guards, steps)


def _digest(data: bytes) -> str:
    from hashlib import sha256

    return sha256(data).hexdigest()


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
