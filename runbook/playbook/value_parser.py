"""YAML nodes to values and expressions, each checked against what may be named there and what it must fit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from runbook.errors import InvalidValueError
from runbook.playbook.diagnostics import Diagnostics, quoted
from runbook.playbook.expressions.checker import check_condition, check_expression
from runbook.playbook.expressions.model import Expression, Template, calls
from runbook.playbook.expressions.name_checker import Report
from runbook.playbook.expressions.static_scope import StaticScope
from runbook.playbook.expressions.static_types import ANY, STRING, StaticType
from runbook.playbook.expressions.syntax import (
    OPEN,
    ParsedExpression,
    Part,
    Unclosed,
    parse_expression,
    split_template,
    whole_expression,
)
from runbook.playbook.model import Field, Value
from runbook.playbook.types import NUMBERS, convert_literal
from runbook.playbook.yaml_tree import ListNode, Node, Scalar, describe_node, scalars

MAX_SIZE = 120_000
"""Parts (names, constants, operators) of all expressions of a file, where each expression counts four more: fifteen
thousand of usual length. Bounds the time of checking them.
"""
Check = Callable[[ParsedExpression, StaticScope, Report], StaticType]
"""How an expression is checked: as a value, or as a condition."""
SHELLS = ("sh", "ash", "bash", "dash", "ksh", "zsh")
_MISSPELT_TEMPLATE = re.compile(
    r"(?<!\$)\{\{\s*(?P<a>[A-Za-z_]\w*)\.|\$\{\s*(?P<b>[A-Za-z_]\w*)\.|\$(?P<c>[A-Za-z_]\w*)\."
)
_DOTTED_NAME = re.compile(r"([A-Za-z_]\w*)(?:\.\w+|\[\d+\])+")


class _Draft(NamedTuple):
    """The content of a value before it is known what it must fit. ``type`` is None for a literal."""

    content: Any
    type: StaticType | None = None
    valid: bool = True


def _lines_for_a_shell(content: Any) -> Iterator[Template]:
    """A line itself, or what follows ``sh -c`` in a list of arguments."""
    if isinstance(content, Template):
        yield content
    words = content if isinstance(content, list | tuple) else ()
    for shell, option, line in zip(words, words[1:], words[2:], strict=False):
        is_called = str(shell).rpartition("/")[2] in SHELLS and re.fullmatch(r"-\w*c", str(option))
        if is_called and isinstance(line, Template):
            yield line


class ValueParser:
    """Reads values and expressions where ``scope`` says what they may name; every error is kept in ``diagnostics``."""

    def __init__(self, diagnostics: Diagnostics, scope: StaticScope) -> None:
        self._diagnostics = diagnostics
        self._scope = scope

    def value(self, node: Node, field: Field, label: str) -> Value:
        """The value at ``node`` for ``field``; ``label`` names it where it does not fit, at load or in a run."""
        self._scope.visible_place = None if field.secret_ok else label
        draft = self._draft(node)
        if draft.valid and draft.type is None:
            self._check_literal(node, field, label, draft.content)
        elif draft.type is not None and not draft.type.fits(field):
            article = "an" if field.type[0] in "aeiou" else "a"
            wanted = f"{article} {'mapping' if field.type == 'map' else field.type}"
            suggestion = _list_inside(node, draft.type) if field.type == "list" else None
            self._diagnostics.add(node.mark, f"{label} must be {wanted}, not {draft.type}", suggestion)
        for line in _lines_for_a_shell(draft.content) if field.read_by_shell else ():
            self._warn_of_shell(line)
        return Value(node.mark, label, field, draft.content)

    def _warn_of_shell(self, line: Template) -> None:
        for part in line.parts:
            if isinstance(part, Expression) and part.type not in (*NUMBERS, "bool") and not calls(part.tree, "quote"):
                what = "a shell reads what stands here: a space in it makes two words, and a ; another command"
                self._diagnostics.warn(part.mark, what, f"Write ${{{{ quote({part.text}) }}}}.")

    def condition(self, node: Node, key: str) -> Expression | None:
        """The expression of ``if`` and its kin."""
        found = self._bare_expression(node, key, check_condition)
        return found[0] if found else None

    def reads_item(self, node: Node) -> bool:
        """Whether this condition is another one for each item of a ``for_each``."""
        text = node.text if isinstance(node, Scalar) else ""
        parsed = parse_expression((whole_expression(text) or Part(text, 0)).text)
        return isinstance(parsed, ParsedExpression) and parsed.reads_item

    def items(self, node: Node) -> tuple[Expression, StaticType] | None:
        """The expression of ``for_each``, and the type of one item: of a mapping, ``{key, value}``."""
        found = self._bare_expression(node, "for_each", check_expression)
        if found is None:
            return None
        expression, found_type = found
        item, _ = found_type.each()
        if item is None:
            message = f"for_each needs a list, not {found_type.compared_as}"
            self._diagnostics.add(node.mark, message, _list_inside(node, found_type))
        return expression, item or ANY

    # -- values

    def _draft(self, node: Node) -> _Draft:
        if isinstance(node, Scalar):
            return self._scalar_draft(node)
        if isinstance(node, ListNode):
            drafts = [self._draft(item) for item in node.items]
            return _joined([draft.content for draft in drafts], StaticType("list"), drafts)
        drafts = [self._draft(value) for _, value in node.entries.values()]
        content = {name: draft.content for name, draft in zip(node.entries, drafts, strict=True)}
        return _joined(content, StaticType("map"), drafts)

    def _scalar_draft(self, scalar: Scalar) -> _Draft:
        text = scalar.text
        if not isinstance(scalar.value, str) or OPEN not in text:
            return _Draft(scalar.value, valid=scalar.valid)
        whole = whole_expression(text)
        if whole:
            found = self._expression(scalar, whole)
            return _Draft(*found) if found else _Draft(None, valid=False)
        parts: list[str | Expression] = []
        valid = True
        for part in split_template(text):
            if isinstance(part, Unclosed):
                self._scope.use_mentioned(text)
                message = f"the expression that begins here {part.why}"
                self._diagnostics.add(scalar.at(part.start), message, part.suggestion)
                return _Draft(None, valid=False)
            if not part.is_expression:
                parts.append(part.text)
                continue
            found = self._expression(scalar, part)
            valid = valid and found is not None
            parts += [found[0]] if found else []
        return _Draft(Template(tuple(parts)), STRING, valid)

    def _check_literal(self, node: Node, field: Field, label: str, content: Any) -> None:
        try:
            convert_literal(field, content)
        except InvalidValueError as error:
            self._diagnostics.add(node.mark, f"{label} {error}", self._expression_meant(node) or error.suggestion)
            return
        for scalar in scalars(node):
            suggestion = self._expression_meant(scalar)
            if suggestion:
                message = f"{quoted(scalar.text)} is plain text, but looks like an expression"
                self._diagnostics.add(scalar.mark, message, suggestion)

    def _expression_meant(self, node: Node) -> str | None:
        """What to write where a text was probably meant as an expression."""
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            return None
        knows = self._scope.knows
        dotted = _DOTTED_NAME.fullmatch(node.text) if not node.style else None
        if dotted and knows(dotted[1]):
            return f'Write "${{{{ {node.text} }}}}", or put it in quotes if it is text.'
        misspelt = _MISSPELT_TEMPLATE.search(node.text)
        if misspelt and knows(misspelt["a"] or misspelt["b"] or misspelt["c"]):
            return 'An expression is written "${{ … }}".'
        return None

    # -- expressions

    def _expression(
        self, scalar: Scalar, part: Part, check: Check = check_expression
    ) -> tuple[Expression, StaticType] | None:
        """The expression ``part`` of a scalar, and the type of its value."""
        parsed = parse_expression(part.text)
        self._scope.size += 4 + (parsed.size if isinstance(parsed, ParsedExpression) else 0)
        if self._scope.size > MAX_SIZE:
            self._diagnostics.fail(scalar.mark, "the expressions of this file are too many, or too large together")
        if not isinstance(parsed, ParsedExpression):
            self._scope.use_mentioned(part.text)
            for problem in parsed:
                self._diagnostics.add(scalar.at(part.start + problem.offset), problem.message, problem.suggestion)
            return None

        def report(offset: int, message: str, suggestion: str | None) -> None:
            self._diagnostics.add(scalar.at(part.start + offset), message, suggestion)

        found_type = check(parsed, self._scope, report)
        mark = scalar.at(part.start + parsed.offset(parsed.tree))
        return parsed.at(mark, found_type.type), found_type

    def _bare_expression(self, node: Node, key: str, check: Check) -> tuple[Expression, StaticType] | None:
        """An expression that needs no ``${{ }}`` around it, but may have it."""
        if not isinstance(node, Scalar):
            in_quotes = "Put it in quotes, and each string in it in single ones: \"['a', 'b']\"."
            suggestion = in_quotes if isinstance(node, ListNode) else None
            self._diagnostics.add(node.mark, f"{key} takes an expression, not {describe_node(node)}", suggestion)
            return None
        if not node.valid:
            return None
        self._scope.visible_place = f'"{key}"'
        whole = whole_expression(node.text)
        if whole or OPEN not in node.text:
            return self._expression(node, whole or Part(node.text, 0, is_expression=True), check)
        self._scope.use_mentioned(node.text)
        self._diagnostics.add(node.mark, f"{key} takes one expression", "Write the whole without ${{ and }}.")
        return None


def _joined(content: Any, joined_type: StaticType, drafts: list[_Draft]) -> _Draft:
    """A list or mapping of these; it is a literal where all of them are."""
    computed = any(draft.type is not None for draft in drafts)
    return _Draft(content, joined_type if computed else None, all(draft.valid for draft in drafts))


def _list_inside(node: Node, found: StaticType) -> str | None:
    """``Did you mean dead.peers?`` where ``dead`` was given for a list."""
    lists = [name for name, inner in (found.fields or {}).items() if inner.type == "list"]
    if not lists or not isinstance(node, Scalar):
        return None
    base = node.text.strip().removeprefix(OPEN).removesuffix("}}").strip()
    return f"Did you mean {quoted(f'{base}.{lists[0]}')}?"
