"""What is known of every step before any is read: its id and place, and the lists of steps inside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from runbook.playbook.check import RESERVED
from runbook.playbook.declare import identifier_fault
from runbook.playbook.faults import Faults, quoted
from runbook.playbook.model import Field, Mark
from runbook.playbook.nodes import ListNode, MapNode, Node, kind
from runbook.playbook.sections import Keys, Section

MAX_LEVELS = 3
"""Lists of steps inside steps: more is not read at 3 a.m., and ``playbook.run`` is there."""

LISTS = ("steps", "on_failure", "finally")
STEP_KEYS = Keys(
    Field("id", "string", "the name its result has"),
    Field("uses", "string", "the type of the step, such as raft.snapshot"),
    Field("with", "map", "its parameters"),
    Field("effect", "enum", "read: this step of unknown effect changes nothing", choices=("read",)),
    Field("if", "any", "an expression; where it is false the step is skipped"),
    Field("for_each", "any", "an expression; the step is done once for each item of this list or mapping"),
    Field("retry", "map", "when and how often a failed attempt is repeated"),
    Field("timeout", "duration", "how long the whole step may take, with all its attempts and waits", min=0.001),
    Field("until", "any", "an expression over its result; the step is done again until it holds"),
    Field("every", "duration", "with until: the pause before the step is done again", default=5.0, min=0.001),
    Field("within", "duration", "with until: how long the condition may take to hold", min=0.001),
    Field("assert", "any", "an expression over its result; where it is false the step has failed"),
    Field("else", "string", "with assert: what to say where it is false"),
    Field("continue_on_failure", "bool", "whether the run goes on where this step has failed", default=False),
    Field("undo", "map", "show: a sentence that tells a person how to take the change back"),
    Field("steps", "list", "instead of uses: a block of steps"),
    Field("on_failure", "list", "steps for where this step has failed or was refused"),
    Field("finally", "list", "steps for its end, however it ended"),
    foreign={
        "when": "if",
        "loop": "for_each",
        "with_items": "for_each",
        "register": "id",
        "name": "id",
        "args": "with",
        "retries": "retry",
        "ignore_errors": "continue_on_failure",
        "block": "steps",
        "rescue": "on_failure",
        "always": "finally",
        "rollback": "undo",
    },
)
NOT_OF_A_BLOCK = ("with", "effect", "retry", "until", "every", "within", "assert", "else", "undo")


@dataclass(frozen=True)
class Head:
    """One step before it is read. ``inner`` holds the heads of each list in it, by the list's key."""

    section: Section
    id: str
    mark: Mark
    inner: dict[str, tuple[Head, ...]]

    def every(self) -> Iterator[Head]:
        """This head and all inside it, in reading order."""
        yield self
        for heads in self.inner.values():
            for head in heads:
                yield from head.every()

    def ids(self, *lists: str) -> list[str]:
        """The ids of the steps in these lists."""
        return [head.id for name in lists for head in self.inner.get(name, ())]


def heads_of(node: Node | None, what: str, faults: Faults, level: int = 0) -> tuple[Head, ...]:
    """The heads of the list at ``node``, to which ``what`` is the key."""
    if node is None:
        return ()
    if not isinstance(node, ListNode):
        faults.add(node.mark, f"{quoted(what)} must be a list of steps, not {kind(node)}")
        return ()
    if level > MAX_LEVELS:
        faults.add(
            node.mark, f"steps are nested deeper than {MAX_LEVELS} levels", "Move them to a playbook of their own."
        )
        return ()
    if not node.items:
        faults.add(node.mark, f"{quoted(what)} must hold one step at least")
    return tuple(head for item in node.items if (head := _head(item, faults, level)))


def _head(node: Node, faults: Faults, level: int) -> Head | None:
    if not isinstance(node, MapNode):
        faults.add(node.mark, f"a step must be a mapping, not {kind(node)}", 'It begins with "- uses: …".')
        return None
    section = Section(node, "a step", STEP_KEYS, faults)
    name, mark = _id(section, faults)
    lists = [key for key in LISTS if key in node.entries]
    return Head(section, name, mark, {key: heads_of(section.get(key), key, faults, level + 1) for key in lists})


def _id(section: Section, faults: Faults) -> tuple[str, Mark]:
    """The id as written; else one made of the type's name, or ``block``."""
    entries = section.node.entries
    if "id" not in entries:
        if "uses" in entries:
            written = entries["uses"][1]
            return id_of_type(getattr(written, "value", None)), written.mark
        return ("block" if "steps" in entries else ""), section.node.mark
    name = section.value("id")
    if name is None:
        return "", section.mark("id")
    fault = identifier_fault(name, "the id of a step")
    if name in RESERVED:
        fault = f"{quoted(name)} cannot be the id of a step: it has its own meaning in expressions", None
    if fault:
        faults.add(section.mark("id"), *fault)
    return name, section.mark("id")


def id_of_type(uses: object) -> str:
    """``snapshot`` for ``raft.snapshot``; but ``wait_for`` and ``assert_step``, as ``for`` and ``assert`` are taken."""
    if not isinstance(uses, str):
        return ""
    for name in (uses.rpartition(".")[2], uses.replace(".", "_"), f"{uses.replace('.', '_')}_step"):
        if name not in RESERVED and not identifier_fault(name, ""):
            return name
    return ""


def refuse_duplicates(heads: list[Head], faults: Faults) -> None:
    """An id names one step in the whole file, as the journal has no levels."""
    first: dict[str, Head] = {}
    for head in heads:
        if head.id and first.setdefault(head.id, head) is not head:
            message = f"duplicate step id {quoted(head.id)}; the step on line {first[head.id].mark.line} has it already"
            own = None if head.section.get("id") else "Give this step an id of its own."
            faults.add(head.mark, message, own)
