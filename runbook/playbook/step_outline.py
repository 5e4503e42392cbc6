"""What is known of every step before any is read: its id and place, and the lists of steps inside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from runbook.errors import Mark
from runbook.playbook.declarations import identifier_error
from runbook.playbook.diagnostics import Diagnostics, quoted
from runbook.playbook.expressions.static_scope import RESERVED
from runbook.playbook.mapping import Keys, MappingReader
from runbook.playbook.model import Field
from runbook.playbook.yaml_tree import ListNode, MapNode, Node, describe_node

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
    Field("parallel", "int", "with for_each: how many items are done beside each other", min=1, max=50),
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
    other_tools={
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
ASSERT = "assert"
"""The step type of a step that only asserts."""
NOT_OF_AN_ASSERTION = ("with", "effect", "retry", "until", "every", "within", "undo")
NOT_OF_A_BLOCK = ("with", "effect", "retry", "until", "every", "within", "assert", "else", "undo")


@dataclass
class StepOutline:
    """One step before it is read. ``inner`` holds the outlines of each list in it, by the list's key.

    ``id`` is as written, or made of the type's name; ``named`` says that later steps can read it.
    """

    mapping: MappingReader
    id: str
    mark: Mark
    inner: dict[str, tuple[StepOutline, ...]]
    named: bool = True

    @property
    def goes_on(self) -> bool:
        """Whether it says so itself: an item that fails does not keep the rest from being done."""
        node = self.mapping.get("continue_on_failure")
        return getattr(node, "value", None) is True

    def walk(self) -> Iterator[StepOutline]:
        """This outline and all inside it, in reading order."""
        yield self
        for outlines in self.inner.values():
            for outline in outlines:
                yield from outline.walk()

    def ids(self, *lists: str) -> list[str]:
        """The ids of the steps in these lists."""
        return [outline.id for name in lists for outline in self.inner.get(name, ())]


def outline_steps(node: Node | None, key: str, diagnostics: Diagnostics, level: int = 0) -> tuple[StepOutline, ...]:
    """The outlines of the list of steps at ``node``, the value of ``key``."""
    if node is None:
        return ()
    if not isinstance(node, ListNode):
        diagnostics.add(node.mark, f"{quoted(key)} must be a list of steps, not {describe_node(node)}")
        return ()
    if level > MAX_LEVELS:
        message = f"steps are nested deeper than {MAX_LEVELS} levels"
        diagnostics.add(node.mark, message, "Move them to a playbook of their own.")
        return ()
    if not node.items:
        diagnostics.add(node.mark, f"{quoted(key)} must hold at least one step")
    return tuple(outline for item in node.items if (outline := _outline(item, diagnostics, level)))


def _outline(node: Node, diagnostics: Diagnostics, level: int) -> StepOutline | None:
    if not isinstance(node, MapNode):
        diagnostics.add(
            node.mark, f"a step must be a mapping, not {describe_node(node)}", 'It begins with "- uses: …".'
        )
        return None
    mapping = MappingReader(node, "a step", STEP_KEYS, diagnostics)
    step_id, mark = _read_id(mapping, diagnostics)
    inner = {key: outline_steps(mapping.get(key), key, diagnostics, level + 1) for key in LISTS if key in node.entries}
    return StepOutline(mapping, step_id, mark, inner)


def _read_id(mapping: MappingReader, diagnostics: Diagnostics) -> tuple[str, Mark]:
    """The id as written; else one made of the type's name, or ``block``."""
    entries = mapping.node.entries
    if "id" not in entries:
        if "uses" in entries:
            written = entries["uses"][1]
            return default_id(getattr(written, "value", None)), written.mark
        made = "block" if "steps" in entries else default_id(ASSERT) if "assert" in entries else ""
        return made, mapping.node.mark
    step_id = mapping.value("id")
    if step_id is None:
        return "", mapping.mark("id")
    error = identifier_error(step_id, "the id of a step")
    if step_id in RESERVED:
        error = f"{quoted(step_id)} cannot be the id of a step: it has its own meaning in expressions", None
    if error:
        diagnostics.add(mapping.mark("id"), *error)
    return step_id, mapping.mark("id")


def default_id(uses: object) -> str:
    """``snapshot`` for ``raft.snapshot``; but ``wait_for`` and ``assert_step``, as ``for`` and ``assert`` are taken."""
    if not isinstance(uses, str):
        return ""
    for name in (uses.rpartition(".")[2], uses.replace(".", "_"), f"{uses.replace('.', '_')}_step"):
        if name not in RESERVED and not identifier_error(name, ""):
            return name
    return ""


def name_steps(outlines: list[StepOutline], diagnostics: Diagnostics) -> dict[str, list[int]]:
    """Give each step the name that it has in the record, which no other step has, as the record has no levels.

    Steps without an id may repeat: the second ``message`` is ``message_2``. None of them can be read, as nobody could
    tell which is meant; the lines of these are given back by the name they share.
    """
    first: dict[str, StepOutline] = {}
    for outline in outlines:
        written = outline.mapping.get("id") is not None
        if outline.id and written and first.setdefault(outline.id, outline) is not outline:
            line = first[outline.id].mark.line
            message = f"duplicate step id {quoted(outline.id)}; the step on line {line} has it already"
            diagnostics.add(outline.mark, message)
    taken = set(first)
    alike: dict[str, list[StepOutline]] = {}
    for outline in outlines:
        if outline.id and outline.mapping.get("id") is None:
            alike.setdefault(outline.id, []).append(outline)
    for name, group in alike.items():
        number = 1
        for outline in group:
            outline.named = len(group) == 1 and name not in first
            while outline.id in taken:
                number += 1
                outline.id = f"{name}_{number}"
            taken.add(outline.id)
    return {
        name: [one.mark.line for one in group] for name, group in alike.items() if len(group) > 1 and name not in first
    }
