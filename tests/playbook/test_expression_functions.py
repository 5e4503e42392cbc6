"""The functions of expressions, comprehensions and mappings: values, UNKNOWN, limits, and what errors say."""

from __future__ import annotations

import pytest

from runbook.errors import ExpressionError
from runbook.playbook.expressions.evaluate import evaluate, evaluate_condition
from runbook.playbook.expressions.model import UNKNOWN
from tests.playbook.cases import expression
from tests.playbook.test_expressions import SCOPE, value_of


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("sum([1, 2.5])", 3.5),
        ("sum([])", 0),
        ("unique(['b', 'a', 'b', 1, 1.0])", ["b", "a", 1]),
        ("trim(' a b\n')", "a b"),
        ("lines('a\\nb\\r\\n\\nc\\n')", ["a", "b", "", "c"]),
        ("lines('')", []),
        ("split(' a  b ')", ["a", "b"]),
        ("split('a,b,', ',')", ["a", "b", ""]),
        ("join(['a', 1, 2.5])", "a, 1, 2.5"),
        ("join([], ' ')", ""),
        ("lower('AÉ') + upper('b')", "aéB"),
        ("replace('a-b-c', '-', '')", "abc"),
        ("startswith('abc', 'ab')", True),
        ("endswith('abc', 'ab')", False),
        ("json('{\"a\": [1, null]}')", {"a": [1, None]}),
        ("to_json({'a': [1, 'é', null, true]})", '{"a": [1, "é", null, true]}'),
        ("quote('a b')", "'a b'"),
        ("quote(['a', \"it's\", 3])", "a 'it'\"'\"'s' 3"),
        ("int(' 42\n') + 1", 43),
        ("float('2.5')", 2.5),
        ("str(3) + str(true) + str(null) + str([1])", "3truenull[1]"),
        ("default(params.none, 'x')", "x"),
        ("default(params.nothing, 'x')", "x"),
        ("default(dead.peers[7].id, 'x')", "x"),
        ("default(nobody.x, 'x')", "x"),
        ("default(params.limit, 1 / 0)", 2),
        ("[p.id for p in dead.peers]", ["b", "c"]),
        ("[p.id for p in dead.peers if not p.voter]", ["c"]),
        ("[e.key for e in {'a': 1, 'b': 2} if e.value > 1]", ["b"]),
        ("[[a, b] for a in [1, 2] if a > 1 for b in [3, 4]]", [[2, 3], [2, 4]]),
        ("[[x + y for y in [1]] for x in [1, 2]]", [[2], [3]]),
        ("any(p.voter for p in dead.peers)", True),
        ("all([p.voter for p in dead.peers])", False),
        ("len([p for p in dead.peers if p.id in [q.id for q in dead.peers if q.voter]])", 1),
        ("{'id': item.id, 'n': {'m': 1}}", {"id": "b", "n": {"m": 1}}),
    ],
)
def test_what_a_function_gives(text: str, value: object) -> None:
    """Plain data in, plain data out."""
    result = value_of(text)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("sum(partly.list)", UNKNOWN),
        ("unique(later)", UNKNOWN),
        ("unique(partly.list)", UNKNOWN),
        ("lines(later)", UNKNOWN),
        ("replace('a', 'a', later)", UNKNOWN),
        ("join(partly.list)", UNKNOWN),
        ("to_json(partly)", UNKNOWN),
        ("quote([later])", UNKNOWN),
        ("int(later)", UNKNOWN),
        ("str(partly)", UNKNOWN),
        ("json(later)", UNKNOWN),
        ("default(later, 1)", UNKNOWN),
        ("[x for x in later]", UNKNOWN),
        ("[x for x in [1, 2] if x > later]", UNKNOWN),
        ("len([later for x in [1, 2]])", 2),
        ("[x for x in [1, 2] if false and later]", []),
        ("{later: 1}", UNKNOWN),
        ("{'a': later}.a", UNKNOWN),
    ],
)
def test_unknown_flows_through_functions(text: str, value: object) -> None:
    """What is known of the whole is known: how many items, and what no unknown one decides."""
    assert value_of(text) is value or value_of(text) == value


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("sum([1, 'a'])", 'sum needs only numbers, not the string "a"'),
        ("trim(1)", "trim needs text, not 1"),
        ("split('a', '')", "split needs a text to split at, not an empty one"),
        ("replace('a', '', 'b')", "replace needs a text to look for, not an empty one"),
        ("join([true])", "join needs texts and numbers, not true"),
        ("join('ab')", 'join needs a list and a text, not the string "ab"'),
        ("quote(null)", "quote needs text or numbers, not null"),
        ("int('1.5')", 'the string "1.5" is not a whole number'),
        ("int('1_0')", 'the string "1_0" is not a whole number'),
        ("float('inf')", "the number is too large"),
        ("float('nan')", "the number is too large"),
        ("int(null)", "int needs a text or a number, not null"),
        ("default(1 / 0, 2)", "1 / 0 divides by zero"),
        ("default(params.limit.x, 2)", '2 has no "x"'),
        ("[x for x in 3]", '"for ... in" needs a list or a mapping, not 3'),
        ("{1: 2}", "a key of a mapping is a text, not 1"),
        ("not 'false'", 'the string "false" is neither true nor false: compare it with a text'),
        ("'no' or 1", 'the string "no" is neither true nor false: compare it with a text'),
        ("1 if 'no' else 2", 'the string "no" is neither true nor false: compare it with a text'),
        ("any(['no'])", 'the string "no" is neither true nor false: compare it with a text'),
        ("[1 for x in [1] if 'no']", 'the string "no" is neither true nor false: compare it with a text'),
    ],
)
def test_a_function_that_cannot_be_computed_says_why(text: str, sentence: str) -> None:
    """In one plain sentence."""
    with pytest.raises(ExpressionError) as caught:
        value_of(text)
    assert str(caught.value) == f'playbook.yaml:3:9: in "{text}": {sentence}'


def test_text_is_no_condition() -> None:
    """``"false"`` is a text, and every text but the empty one counts as true elsewhere."""
    with pytest.raises(ExpressionError, match=r'3:9: in "params.mode": the string "all" is neither true nor false'):
        evaluate_condition(expression("params.mode"), SCOPE)
    assert evaluate_condition(expression("params.mode == 'all'"), SCOPE) is True
    assert evaluate_condition(expression("dead.count"), SCOPE) is True


def test_a_comprehension_does_bounded_work() -> None:
    """Lists within lists multiply: nothing that a server says may keep a run busy for long."""
    many = {"params": {"a": list(range(400))}}
    assert len(evaluate(expression("[x for x in params.a for y in [1, 2]]"), many)) == 800
    for text in (
        "[x + y for x in params.a for y in params.a]",
        "[[y for y in params.a] for x in params.a]",
        "[x for x in params.a if x not in params.a]",
        "[sum(params.a) for x in params.a]",
    ):
        with pytest.raises(ExpressionError, match='"for ... in" does too much'):
            evaluate(expression(text), many)


def test_json_of_others_is_bounded() -> None:
    """Levels, numbers and odd constants: what is read must be fit for the record."""
    for text in ("[" * 100 + "]" * 100, "1e999", "NaN", "{", "[" * 100_000):
        with pytest.raises(ExpressionError, match="json"):
            evaluate(expression("json(params.a)"), {"params": {"a": text}})
