"""Reads the keys of a step that say when it is good: retry, timeout, until, assert, undo, continue_on_failure."""

from __future__ import annotations

from typing import Any

from runbook.playbook.diagnostics import Diagnostics, quoted
from runbook.playbook.expressions.static_scope import StaticScope
from runbook.playbook.expressions.static_types import StaticType
from runbook.playbook.mapping import Keys, MappingReader, read_literal
from runbook.playbook.model import RETRYABLE, Assertion, Field, Retry, Until, Value
from runbook.playbook.types import MAX_DURATION, is_number, literal_number, parse_wait
from runbook.playbook.value_parser import ValueParser
from runbook.playbook.yaml_tree import ListNode, MapNode, Node, Scalar, describe_node

RETRY_KEYS = Keys(
    Field("times", "int", "attempts at most, the first one counted", min=1),
    Field("wait", "any", "between two attempts: 5s, or 1s..30s growing from the first to the last", default="1s..30s"),
    Field("jitter", "bool", "whether waits are varied by chance", default=True),
    Field("within", "duration", "how long all attempts together may take", min=0.001),
    Field("only_on", "list", f"the errors to retry on: {', '.join(RETRYABLE)}"),
)
UNDO_KEYS = Keys(Field("show", "string", "the sentence, for a person", required=True))
_ELSE = Field("else", "string", "")
_RETRYABLE_ERROR = Field("only_on", "enum", "", choices=RETRYABLE)


class StepOptionsReader:
    """Reads these keys of any step; their expressions may name what ``scope`` says, and the step's own ``result``."""

    def __init__(self, values: ValueParser, scope: StaticScope, diagnostics: Diagnostics) -> None:
        self._values = values
        self._scope = scope
        self._diagnostics = diagnostics

    def read(self, mapping: MappingReader, result: StaticType | None) -> dict[str, Any]:
        """These parts of a :class:`StepSpec`, asked for each item. A block, which is without ``result``, has none."""
        entries = mapping.node.entries
        parts: dict[str, Any] = {}
        if result is None:
            return parts
        if "retry" in entries:
            parts["retry"] = self._retry(entries["retry"][1])
        if entries.keys().isdisjoint(("until", "every", "within", "assert", "else", "undo")):
            return parts
        for key, needs in (("every", "until"), ("within", "until"), ("else", "assert")):
            if key in entries and needs not in entries:
                self._diagnostics.add(entries[key][0].mark, f"{quoted(key)} needs {quoted(needs)}")
        with self._scope.override(result=result):
            parts["until"] = self._until(mapping)
            parts["assertion"] = self._assertion(mapping)
            parts["undo"] = self._undo(mapping)
        return parts

    def read_assertion(self, mapping: MappingReader) -> dict[str, Any]:
        """These parts of a :class:`StepSpec` that does nothing but assert: it has no result to assert it of."""
        return {**self.read(mapping, None), "assertion": self._assertion(mapping)}

    def read_whole(self, mapping: MappingReader) -> dict[str, Any]:
        """The parts that are asked once, for all items together."""
        entries = mapping.node.entries
        parts: dict[str, Any] = {}
        if "timeout" in entries:
            parts["timeout"] = self._bound(mapping, "timeout")
        if "continue_on_failure" in entries:
            parts["continue_on_failure"] = mapping.value("continue_on_failure") is True
        if "parallel" in entries:
            parts["parallel"] = self._bound(mapping, "parallel")
            if "for_each" not in entries:
                self._diagnostics.add(entries["parallel"][0].mark, '"parallel" needs "for_each"')
        return parts

    def _bound(self, mapping: MappingReader, key: str) -> Value | None:
        """A duration or a number, which may come from a param; its default where it is not written."""
        node = mapping.get(key)
        return self._values.value(node, mapping.field(key), mapping.label(key)) if node else mapping.default(key)

    def _until(self, mapping: MappingReader) -> Until | None:
        node = mapping.get("until")
        if node is None:
            return None
        condition = self._values.condition(node, "until")
        every, within = self._bound(mapping, "every"), self._bound(mapping, "within")
        if "within" not in mapping.node.entries:  # I10
            self._diagnostics.add(node.mark, '"until" needs a bound', "Add within: 5m, or however long it may take.")
        elif (literal_number(every) or 0.0) > (literal_number(within) or MAX_DURATION):
            mapping.report("every", 'is longer than "within": the condition would be checked once')
        return Until(condition, every, within) if condition and every and within else None

    def _assertion(self, mapping: MappingReader) -> Assertion | None:
        written, otherwise = mapping.get("assert"), mapping.get("else")
        message = self._values.value(otherwise, _ELSE, '"else"') if otherwise else None
        condition = self._values.condition(written, "assert") if written else None
        return Assertion(condition, message) if condition else None

    def _undo(self, mapping: MappingReader) -> Value | None:
        node = mapping.get("undo")
        if node is None:
            return None
        if not isinstance(node, MapNode):
            suggestion = 'Write undo: { show: "…" }; nothing is undone automatically.'
            self._diagnostics.add(node.mark, f'"undo" must be a mapping, not {describe_node(node)}', suggestion)
            return None
        shown = MappingReader(node, "undo", UNDO_KEYS, self._diagnostics).get("show")
        return self._values.value(shown, UNDO_KEYS.fields["show"], '"show" of undo') if shown else None

    def _retry(self, node: Node) -> Retry | None:
        if not isinstance(node, MapNode):
            message = f'"retry" must be a mapping, not {describe_node(node)}'
            self._diagnostics.add(node.mark, message, "Write retry: { times: 3, wait: 1s..30s }.")
            return None
        mapping = MappingReader(node, "retry", RETRY_KEYS, self._diagnostics)
        if mapping.get("times") is None and mapping.get("within") is None:
            self._diagnostics.add(node.mark, "a retry needs a bound", 'Add "times", "within", or both.')  # I10
        wait = self._bound(mapping, "wait")
        if wait is not None and getattr(mapping.get("wait"), "valid", True):
            self._check_wait(wait, mapping)
        only_on = _read_only_on(mapping.get("only_on"), mapping, self._diagnostics)
        times, within = self._bound(mapping, "times"), self._bound(mapping, "within")
        return Retry(times, wait, mapping.value("jitter") is not False, within, only_on) if wait else None

    def _check_wait(self, wait: Value, mapping: MappingReader) -> None:
        """A number without a unit is no duration where it is written."""
        if next(wait.expressions(), None) is not None:
            return
        if is_number(wait.content):
            mapping.report("wait", f"must be a duration with a unit, such as {wait.content}s, not {wait.content}")
            return
        try:
            parse_wait(wait.content)
        except ValueError as error:
            mapping.report("wait", str(error))


def _read_only_on(node: Node | None, mapping: MappingReader, diagnostics: Diagnostics) -> frozenset[str] | None:
    if node is None:
        return None
    if not isinstance(node, ListNode):
        suggestion = f"Write only_on: [{node.text}]." if isinstance(node, Scalar) else None
        mapping.report("only_on", f"must be a list of errors, not {describe_node(node)}", suggestion)
        return None
    if not node.items:
        mapping.report("only_on", "must name at least one error, or be left out")
    return frozenset(read_literal(item, _RETRYABLE_ERROR, 'an error of "only_on"', diagnostics) for item in node.items)
