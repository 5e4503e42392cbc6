"""Values as written, with or without ``${{ … }}``, to checked values that are computed on a scope."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from runbook.playbook.check import check
from runbook.playbook.durations import format_duration
from runbook.playbook.environment import Environment
from runbook.playbook.expressions import Evaluate, finish
from runbook.playbook.faults import Faults, describe, quoted
from runbook.playbook.fields import MisfitError, fit, fit_written
from runbook.playbook.model import Expression, Field, Scope, Value
from runbook.playbook.nodes import ListNode, Node, Scalar, kind, scalars
from runbook.playbook.operators import UNKNOWN, ExpressionError, bounded_data, bounded_text
from runbook.playbook.shapes import ANY, STRING, Shape, family, fits, in_words
from runbook.playbook.syntax import MAX_LENGTH, ParsedExpression, parse_expression

OPEN = "${{"
MAX_PARTS = 120_000
"""Parts (names, constants, operators) of all expressions of a file, where each expression counts four more: fifteen
thousand of usual length. Bounds the time of compiling them.
"""
_TEMPLATE = re.compile(r"""\$\{\{((?:[^'"}]|'[^']*'|"[^"]*"|\}(?!\}))*)\}\}""")
_MISSPELT_TEMPLATE = re.compile(
    r"(?<!\$)\{\{\s*(?P<a>[A-Za-z_]\w*)\.|\$\{\s*(?P<b>[A-Za-z_]\w*)\.|\$(?P<c>[A-Za-z_]\w*)\."
)
_DOTTED = re.compile(r"([A-Za-z_]\w*)(?:\.\w+|\[\d+\])+")


_ENTRY = Shape("map", {"key": STRING, "value": ANY}, origin="an entry of a mapping")


class Draft(NamedTuple):
    """A value before it is known what it must fit. ``shape`` is None for a literal."""

    evaluate: Evaluate
    names: frozenset[str] = frozenset()
    shape: Shape | None = None
    sound: bool = True
    secrets: frozenset[str] = frozenset()


class Reader:
    """Reads values and expressions where ``environment`` holds; keeps every fault in ``faults``."""

    def __init__(self, faults: Faults, environment: Environment) -> None:
        self._faults = faults
        self._environment = environment

    def value(self, node: Node, field: Field, label: str) -> Value:
        """The value at ``node`` for ``field``; ``label`` names it where it does not fit, at load or when resolved."""
        self._environment.place = None if field.secret_ok else label
        draft = self._draft(node)
        if draft.sound and draft.shape is None:
            self._check_literal(node, field, label, draft)
        elif draft.shape is not None and not fits(draft.shape, field):
            message = f"{label} must be {_article(field)}, not {in_words(draft.shape)}"
            self._faults.add(node.mark, message, _list_within(node, draft.shape) if field.type == "list" else None)

        def resolve(scope: Scope) -> Any:
            try:
                return fit(field, draft.evaluate(scope) if draft.shape is None else bounded_data(draft.evaluate(scope)))
            except MisfitError as misfit:
                raise ExpressionError(f"{node.mark}: {label} {misfit}") from None

        return Value(node.mark, resolve, draft.names, draft.secrets)

    def condition(self, node: Node, key: str) -> Expression | None:
        """The expression of ``if`` and its kin: True, False or UNKNOWN."""
        found = self._bare(node, key)
        if found is None:
            return None
        evaluate = found[0].evaluate

        def decide(scope: Scope) -> Any:
            value = evaluate(scope)
            return value if value is UNKNOWN else bool(value)

        return replace(found[0], evaluate=decide)

    def items(self, node: Node) -> tuple[Expression, Shape] | None:
        """The expression of ``for_each``, a list or UNKNOWN, and the shape of one item: of a mapping, {key, value}."""
        found = self._bare(node, "for_each")
        if found is None:
            return None
        expression, shape = found
        if shape.type not in ("list", "map", "any") or (shape.type == "map" and shape.fields is not None):
            message = f"for_each needs a list, not {family(shape)}"
            self._faults.add(node.mark, message, _list_within(node, shape))
            shape = ANY

        def listed(scope: Scope) -> Any:
            value = expression.evaluate(scope)
            if isinstance(value, Mapping):
                return [{"key": key, "value": item} for key, item in value.items()]
            if value is UNKNOWN or isinstance(value, list | tuple):
                return value
            raise ExpressionError(f"{node.mark}: for_each needs a list or a mapping, not {describe(value)}")

        return replace(expression, evaluate=listed), _ENTRY if shape.type == "map" else shape.items or ANY

    def _check_literal(self, node: Node, field: Field, label: str, draft: Draft) -> None:
        try:
            fit_written(field, draft.evaluate({}))
        except MisfitError as misfit:
            self._faults.add(node.mark, f"{label} {misfit}", self._expression_meant(node) or misfit.suggestion)
            return
        for scalar in scalars(node):
            meant = self._expression_meant(scalar)
            if meant:
                self._faults.add(
                    scalar.mark, f"{quoted(scalar.text)} is plain text, but looks like an expression", meant
                )

    def _expression_meant(self, node: Node) -> str | None:
        """What to write where a text was probably meant as an expression."""
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            return None
        knows = self._environment.knows
        dotted = _DOTTED.fullmatch(node.text) if not node.style else None
        if dotted and knows(dotted[1]):
            return f'Write "${{{{ {node.text} }}}}", or put it in quotes if it is text.'
        misspelt = _MISSPELT_TEMPLATE.search(node.text)
        if misspelt and knows(misspelt["a"] or misspelt["b"] or misspelt["c"]):
            return 'An expression is written "${{ … }}".'
        return None

    def _draft(self, node: Node) -> Draft:
        if isinstance(node, Scalar):
            return self._scalar(node)
        if isinstance(node, ListNode):
            return _joined([self._draft(item) for item in node.items], Shape("list"), list)
        drafts = [self._draft(value) for _, value in node.entries.values()]
        return _joined(drafts, Shape("map"), partial(_zipped, tuple(node.entries)))

    def _scalar(self, scalar: Scalar) -> Draft:
        text = scalar.text
        if not isinstance(scalar.value, str) or OPEN not in text:
            return Draft(partial(_always, scalar.value), sound=scalar.sound)
        whole = _whole(text)
        if whole:
            return self._inner(scalar, *whole)
        return _joined([_as_text(piece) for piece in self._pieces(scalar)], STRING, _text_of)

    def _pieces(self, scalar: Scalar) -> Iterator[Draft]:
        """The text before, between and after the expressions, and the expressions."""
        text, at = scalar.text, 0
        while (begin := text.find(OPEN, at)) >= 0:
            match = _TEMPLATE.match(text, begin, begin + MAX_LENGTH + 10)
            if match is None:
                self._unclosed(scalar, begin)
                yield Draft(partial(_always, None), sound=False)
                return
            if begin > at:
                yield Draft(partial(_always, text[at:begin]))
            yield self._inner(scalar, match[1], match.start(1))
            at = match.end()
        if text[at:]:
            yield Draft(partial(_always, text[at:]))

    def _unclosed(self, scalar: Scalar, begin: int) -> None:
        self._environment.use_mentioned(scalar.text)
        closed = "}}" in scalar.text[begin:]
        tail = f"holds an open quote, or more than {MAX_LENGTH:,} characters" if closed else "is never closed"
        self._faults.add(
            scalar.at(begin), f"the expression that begins here {tail}", None if closed else "Close it with }}."
        )

    def _inner(self, scalar: Scalar, text: str, start: int) -> Draft:
        found = self._expression(scalar, text, start)
        if found is None:
            return Draft(partial(_always, None), sound=False)
        expression, shape = found
        return Draft(expression.evaluate, expression.names, shape, secrets=expression.secrets)

    def _expression(self, scalar: Scalar, text: str, start: int) -> tuple[Expression, Shape] | None:
        """The expression ``text``, which stands at offset ``start`` of ``scalar``."""
        parsed = parse_expression(text)
        self._environment.parts += 4 + (parsed.parts if isinstance(parsed, ParsedExpression) else 0)
        if self._environment.parts > MAX_PARTS:
            self._faults.fail(scalar.mark, "the expressions of this file are too many, or too large together")
        if not isinstance(parsed, ParsedExpression):
            self._environment.use_mentioned(text)
            for problem in parsed:
                self._faults.add(scalar.at(start + problem.offset), problem.message, problem.suggestion)
            return None

        def complain(offset: int, message: str, suggestion: str | None) -> None:
            self._faults.add(scalar.at(start + offset), message, suggestion)

        shape = check(parsed, self._environment, complain)
        begin = parsed.offset(parsed.tree)
        return finish(parsed, scalar.at(start + begin)), shape

    def _bare(self, node: Node, key: str) -> tuple[Expression, Shape] | None:
        """An expression that needs no ``${{ }}`` around it, but may have it."""
        if not isinstance(node, Scalar):
            in_quotes = "Put it in quotes, and each text in it in single ones: \"['a', 'b']\"."
            hint = in_quotes if isinstance(node, ListNode) else None
            self._faults.add(node.mark, f"{key} takes an expression, not {kind(node)}", hint)
            return None
        if not node.sound:
            return None
        self._environment.place = f'"{key}"'
        whole = _whole(node.text)
        if whole or OPEN not in node.text:
            return self._expression(node, *(whole or (node.text, 0)))
        self._environment.use_mentioned(node.text)
        self._faults.add(node.mark, f"{key} takes one expression", "Write the whole without ${{ and }}.")
        return None


def _whole(text: str) -> tuple[str, int] | None:
    """The expression, and where it begins, of a text that is one ``${{ … }}`` and nothing else."""
    begin = len(text) - len(text.lstrip())
    match = _TEMPLATE.match(text, begin, begin + MAX_LENGTH + 10)
    return (match[1], match.start(1)) if match and not text[match.end() :].strip() else None


def _article(field: Field) -> str:
    vowel = field.type[0] in "aeiou"
    return f"{'an' if vowel else 'a'} {'mapping' if field.type == 'map' else field.type}"


def _list_within(node: Node, shape: Shape) -> str | None:
    """``Did you mean dead.peers?`` where ``dead`` was given for a list."""
    lists = [name for name, field in (shape.fields or {}).items() if field.type == "list"]
    if not lists or not isinstance(node, Scalar):
        return None
    base = node.text.strip().removeprefix(OPEN).removesuffix("}}").strip()
    return f"Did you mean {quoted(f'{base}.{lists[0]}')}?"


def _always(value: Any, _scope: Scope) -> Any:
    return value


def _zipped(keys: tuple[str, ...], values: list[Any]) -> dict[str, Any]:
    return dict(zip(keys, values, strict=True))


def _joined(drafts: list[Draft], shape: Shape, join: Callable[[list[Any]], Any]) -> Draft:
    """One draft of several; it is a literal where all of them are."""

    def evaluate(scope: Scope) -> Any:
        return join([draft.evaluate(scope) for draft in drafts])

    computed = any(draft.shape is not None for draft in drafts)
    names = frozenset[str]().union(*(draft.names for draft in drafts))
    secrets = frozenset[str]().union(*(draft.secrets for draft in drafts))
    return Draft(evaluate, names, shape if computed else None, all(draft.sound for draft in drafts), secrets)


def _text_of(parts: list[Any]) -> Any:
    if any(part is UNKNOWN for part in parts):
        return UNKNOWN
    return bounded_text("".join(parts))


def _as_text(draft: Draft) -> Draft:
    as_text = format_duration if draft.shape is not None and draft.shape.type == "duration" else plain_text

    def evaluate(scope: Scope) -> Any:
        value = draft.evaluate(scope)
        return value if value is UNKNOWN else as_text(value)

    return draft._replace(evaluate=evaluate)


def plain_text(value: Any) -> str:
    """How a value reads inside a text: as in YAML; lists and mappings as JSON."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool):
        return describe(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, int):
        return str(value)
    import json

    try:
        return json.dumps(bounded_data(value), ensure_ascii=False, default=str)
    except RecursionError:
        raise ExpressionError("the data is nested too deeply for a text") from None
