"""Reads the keys of a step that say when it is good: retry, timeout, until, assert, undo, continue_on_failure."""

from __future__ import annotations

from typing import Any

from runbook.playbook.diagnostics import Diagnostics, describe_value, quoted
from runbook.playbook.expressions.static_scope import StaticScope
from runbook.playbook.expressions.static_types import StaticType
from runbook.playbook.mapping import Keys, MappingReader, read_literal
from runbook.playbook.model import RETRYABLE, Assertion, Field, Retry, Until, Value
from runbook.playbook.types import parse_duration
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
        """These parts of a :class:`StepSpec`. Without ``result`` the step is a block, which has only some of them."""
        entries = mapping.node.entries
        parts: dict[str, Any] = {}
        if "timeout" in entries:
            parts["timeout"] = mapping.value("timeout")
        if "continue_on_failure" in entries:
            parts["continue_on_failure"] = mapping.value("continue_on_failure") is True
        if result is None:
            return parts
        if "retry" in entries:
            parts["retry"] = _read_retry(entries["retry"][1], self._diagnostics)
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

    def _until(self, mapping: MappingReader) -> Until | None:
        node = mapping.get("until")
        if node is None:
            return None
        condition = self._values.condition(node, "until")
        every, within = mapping.value("every"), mapping.value("within")
        if "within" not in mapping.node.entries:  # I10
            self._diagnostics.add(node.mark, '"until" needs a bound', "Add within: 5m, or however long it may take.")
        elif every is not None and within is not None and every > within:
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


def _read_retry(node: Node, diagnostics: Diagnostics) -> Retry | None:
    if not isinstance(node, MapNode):
        message = f'"retry" must be a mapping, not {describe_node(node)}'
        diagnostics.add(node.mark, message, "Write retry: { times: 3, wait: 1s..30s }.")
        return None
    mapping = MappingReader(node, "retry", RETRY_KEYS, diagnostics)
    if mapping.get("times") is None and mapping.get("within") is None:
        diagnostics.add(node.mark, "a retry needs a bound", 'Add "times", "within", or both.')  # I10
    shortest, longest = _read_wait(mapping)
    only_on = _read_only_on(mapping.get("only_on"), mapping, diagnostics)
    times, within, jitter = mapping.value("times"), mapping.value("within"), mapping.value("jitter")
    return Retry(times, shortest, longest, jitter is not False, within, only_on)


def _read_wait(mapping: MappingReader) -> tuple[float, float]:
    written = mapping.value("wait")
    if written is None:
        return 0.0, 0.0
    try:
        first, dots, last = written.partition("..")
        shortest = parse_duration(first)
        longest = parse_duration(last) if dots else shortest
    except (ValueError, AttributeError):
        message = f"must be a duration such as 5s, or two such as 1s..30s, not {describe_value(written)}"
        mapping.report("wait", message)
        return 0.0, 0.0
    if shortest > longest:
        suggestion = f"Did you mean {quoted(f'{last}..{first}')}?"
        mapping.report("wait", "must go from the shorter to the longer", suggestion)
    return shortest, longest


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
