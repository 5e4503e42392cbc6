"""Reads the words of a step that say when it is good: retry, timeout, until, assert, undo, continue_on_failure."""

from __future__ import annotations

from typing import Any

from runbook.playbook.environment import Environment
from runbook.playbook.faults import Faults, quoted
from runbook.playbook.model import Assertion, Field, Until, Value
from runbook.playbook.nodes import MapNode, kind
from runbook.playbook.retries import read_retry
from runbook.playbook.sections import Keys, Section
from runbook.playbook.shapes import Shape
from runbook.playbook.templates import Reader

UNDO_KEYS = Keys(Field("show", "string", "the sentence, for a person", required=True))
_ELSE = Field("else", "string", "")


def read_words(
    section: Section, result: Shape | None, values: Reader, environment: Environment, faults: Faults
) -> dict[str, Any]:
    """These parts of a :class:`StepSpec`. Without ``result`` the step is a block, which has only some of them."""
    entries = section.node.entries
    parts: dict[str, Any] = {}
    if "timeout" in entries:
        parts["timeout"] = section.value("timeout")
    if "continue_on_failure" in entries:
        parts["continue_on_failure"] = section.value("continue_on_failure") is True
    if result is None:
        return parts
    if "retry" in entries:
        parts["retry"] = read_retry(entries["retry"][1], faults)
    if not entries.keys().isdisjoint(("until", "every", "within", "assert", "else", "undo")):
        with environment.changed(result=result):
            words = _Words(section, values, faults)
            parts |= {"until": words.until(), "assertion": words.assertion(), "undo": words.undo()}
    return parts


class _Words:
    def __init__(self, section: Section, values: Reader, faults: Faults) -> None:
        self._section = section
        self._values = values
        self._faults = faults

    def until(self) -> Until | None:
        self._refuse_alone("every", "until")
        self._refuse_alone("within", "until")
        node = self._section.get("until")
        if node is None:
            return None
        condition = self._values.condition(node, "until")
        every, within = self._section.value("every"), self._section.value("within")
        if "within" not in self._section.node.entries:
            self._faults.add(node.mark, '"until" needs a bound', "Add within: 5m, or however long it may take.")  # I10
        elif every is not None and within is not None and every > within:
            self._section.wrong("every", 'is longer than "within": the condition would be asked once')
        return Until(condition, every, within) if condition and every and within else None

    def assertion(self) -> Assertion | None:
        self._refuse_alone("else", "assert")
        written, otherwise = self._section.get("assert"), self._section.get("else")
        message = self._values.value(otherwise, _ELSE, '"else"') if otherwise else None
        condition = self._values.condition(written, "assert") if written else None
        return Assertion(condition, message) if condition else None

    def undo(self) -> Value | None:
        node = self._section.get("undo")
        if node is None:
            return None
        if not isinstance(node, MapNode):
            hint = 'Write undo: { show: "…" }; nothing is undone by itself.'
            self._faults.add(node.mark, f'"undo" must be a mapping, not {kind(node)}', hint)
            return None
        section = Section(node, "undo", UNDO_KEYS, self._faults)
        shown = section.get("show")
        return self._values.value(shown, UNDO_KEYS.fields["show"], '"show" of undo') if shown else None

    def _refuse_alone(self, key: str, needs: str) -> None:
        entries = self._section.node.entries
        if key in entries and needs not in entries:
            self._faults.add(entries[key][0].mark, f"{quoted(key)} means nothing without {quoted(needs)}")
