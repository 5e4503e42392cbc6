"""The expression language: what it computes, how UNKNOWN flows through it, and what its errors say."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from runbook.errors import ExpressionError
from runbook.playbook.expressions.evaluate import evaluate
from runbook.playbook.expressions.model import UNKNOWN
from tests.playbook.cases import expression

SCOPE: dict[str, Any] = {
    "params": {"limit": 2, "wait": 30.0, "mode": "all", "flag": True, "none": None},
    "dead": {"peers": [{"id": "b", "voter": True}, {"id": "c", "voter": False}], "count": 2},
    "item": {"id": "b", "up-time": 3},
    "run": {"id": "r1", "name": "x"},
    "later": UNKNOWN,
    "partly": {"known": 1, "unknown": UNKNOWN, "list": [1, UNKNOWN]},
}


def value_of(text: str) -> Any:
    return evaluate(expression(text), SCOPE)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("1.5", 1.5),
        ("'a'", "a"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("None", None),
        ("[1, 'a', []]", [1, "a", []]),
        ("params.limit", 2),
        ("params['limit']", 2),
        ("dead.peers[0].id", "b"),
        ("dead.peers[-1]['id']", "c"),
        ("steps.dead.count", 2),
        ("steps['dead'].count", 2),
        ("item['up-time']", 3),
        ("dead.peers[params.limit - 1].id", "c"),
        ("1 + 2 * 3", 7),
        ("7 // 2 + 7 % 4 - -1", 7),
        ("7 / 2", 3.5),
        ("+3", 3),
        ("'a' + 'b'", "ab"),
        ("1 < 2 <= 2 < 3", True),
        ("1 < 3 < 2", False),
        ("3 > 2 >= 2 != 1", True),
        ("'a' < 'b'", True),
        ("1 == 1.0", True),
        ("1 == true", False),
        ("null == params.none", True),
        ("[1, [2]] == [1, [2]]", True),
        ("[1] == [1, 2]", False),
        ("dead.peers[0] == item", False),
        ("'b' in 'abc'", True),
        ("2 in [1, 2]", True),
        ("2 not in [1, 2]", False),
        ("1 in [true]", False),
        ("'count' in dead", True),
        ("1 in dead", False),
        ("not params.flag or dead.count == 2", True),
        ("0 or 'x'", "x"),
        ("1 and 0 and 1 / 0", 0),
        ("1 or 1 / 0", 1),
        ("'yes' if params.flag else 'no'", "yes"),
        ("1 / 0 if false else 3", 3),
        ("len('abc') + len([1]) + len(dead)", 6),
        ("any([0, 1])", True),
        ("any([])", False),
        ("all([1, 0])", False),
        ("all([])", True),
        ("min(3, 1, 2)", 1),
        ("max([1, 3, 2])", 3),
        ("sorted(['b', 'a'])", ["a", "b"]),
        ("  1\n  + 1 ", 2),
        ("'#'", "#"),
        ("'é' + 'ü'", "éü"),
    ],
)
def test_what_an_expression_computes(text: str, value: object) -> None:
    """Python's syntax and meaning, on plain data."""
    result = value_of(text)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("later", UNKNOWN),
        ("later.peers[0].id", UNKNOWN),
        ("partly.unknown", UNKNOWN),
        ("dead.peers[later]", UNKNOWN),
        ("later and false", False),
        ("false and later", False),
        ("later and true", UNKNOWN),
        ("true and later", UNKNOWN),
        ("later or true", True),
        ("true or later", True),
        ("later or false", UNKNOWN),
        ("later and later", UNKNOWN),
        ("not later", UNKNOWN),
        ("later == 1", UNKNOWN),
        ("later != later", UNKNOWN),
        ("1 < later", UNKNOWN),
        ("1 < later < 0", UNKNOWN),
        ("2 < 1 < later", False),
        ("later + 1", UNKNOWN),
        ("'a' + later", UNKNOWN),
        ("-later", UNKNOWN),
        ("1 in later", UNKNOWN),
        ("later in [1]", UNKNOWN),
        ("1 in partly.list", True),
        ("2 in partly.list", UNKNOWN),
        ("2 not in partly.list", UNKNOWN),
        ("partly.list == [1, 2]", UNKNOWN),
        ("partly.list == [2, 2]", False),
        ("partly.list == [1]", False),
        ("partly == partly", UNKNOWN),
        ("1 if later else 1", UNKNOWN),
        ("len(later)", UNKNOWN),
        ("len(partly.list)", 2),
        ("any(later)", UNKNOWN),
        ("any(partly.list)", True),
        ("all(partly.list)", UNKNOWN),
        ("any([false, later])", UNKNOWN),
        ("all([false, later])", False),
        ("min(1, later)", UNKNOWN),
        ("max(partly.list)", UNKNOWN),
        ("max(later)", UNKNOWN),
        ("sorted(partly.list)", UNKNOWN),
        ("sorted(later)", UNKNOWN),
        ("later and 1 / 0", UNKNOWN),
        ("later > 0 and dead.peers[9].id", UNKNOWN),
    ],
)
def test_unknown_flows_in_three_valued_logic(text: str, value: object) -> None:
    """A plan says false or true only where every world says so."""
    assert value_of(text) is value or value_of(text) == value


def test_unknown_is_one_value_that_is_neither_true_nor_false() -> None:
    """An ``if`` on it in our own code must fail loudly, and a copy must not become a second one."""
    with pytest.raises(ExpressionError, match="known only after apply"):
        bool(UNKNOWN)
    assert copy.deepcopy({"a": UNKNOWN})["a"] is UNKNOWN
    assert pickle.loads(pickle.dumps(UNKNOWN)) is UNKNOWN  # noqa: S301
    assert f"{UNKNOWN} {UNKNOWN!r}" == "(known after apply) (known after apply)"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1 / 0", "1 / 0 divides by zero"),
        ("1 // 0", "1 // 0 divides by zero"),
        ("1.5 % 0", "1.5 % 0 divides by zero"),
        ("nobody", 'there is no value of "nobody" here: its step did not run, or was skipped'),
        ("steps.nobody.x", 'there is no value of "nobody" here: its step did not run, or was skipped'),
        ("dead.x", 'there is no "x" (there is count, peers)'),
        ("dead['x']", 'there is no "x" (there is count, peers)'),
        ("dead[1]", "there is no 1 (there is count, peers)"),
        ("dead.peers[2]", "the list has 2 items, so there is no item 2"),
        ("dead.peers['a']", 'a list has no "a"'),
        ("dead.peers[true]", "a list has no true"),
        ("dead.count.x", '2 has no "x"'),
        ("'abc'[0]", 'the string "abc" has no 0'),
        ("dead.__class__", 'there is no "__class__" (there is count, peers)'),
        ("params.mode.__class__", 'the string "all" has no "__class__"'),
        ("params.none.x", 'null has no "x"'),
        ("1 + 'a'", '+ cannot combine 1 with the string "a"'),
        ("[1] + [2]", "+ cannot combine a list with a list"),
        ("'a' * 3", '* cannot combine the string "a" with 3'),
        ("'%s' % 3", '% cannot combine the string "%s" with 3'),
        ("true + 1", "+ cannot combine true with 1"),
        ("-'a'", '- needs a number, not the string "a"'),
        ("1 < 'a'", '< cannot compare 1 with the string "a"'),
        ("[1] < [2]", "< cannot compare a list with a list"),
        ("1 in 'a'", "a string can contain only a string, not 1"),
        ("1 in 1", '"in" needs a list, a mapping or a string, not 1'),
        ("len(1)", "len needs a list, a mapping or a string, not 1"),
        ("any(1)", "any needs a list, not 1"),
        ("min([])", "min of an empty list"),
        ("max(1, 'a')", "max needs only numbers, or only strings"),
        ("sorted([dead])", "sorted needs only numbers, or only strings"),
        ("9223372036854775807 + 1", "the number is too large"),
        ("9223372036854775807 * 9223372036854775807", "the number is too large"),
        ("1e308 * 10", "the number is too large"),
        ("1e308 // 1e-308", "the number is too large"),
    ],
)
def test_an_expression_that_cannot_be_computed_says_why(text: str, sentence: str) -> None:
    """One plain sentence with the place and the text, whatever Python would have raised."""
    with pytest.raises(ExpressionError) as caught:
        value_of(text)
    assert str(caught.value) == f'playbook.yaml:3:9: in "{text}": {sentence}'


def test_a_text_cannot_grow_without_limit() -> None:
    """Doubling needs few parts and much memory."""
    doubled = expression("params.a + params.a")
    assert evaluate(doubled, {"params": {"a": "x" * 100_000}}) == "x" * 200_000
    with pytest.raises(ExpressionError, match="longer than 200,000 characters"):
        evaluate(doubled, {"params": {"a": "x" * 100_001}})
    for text in (
        "replace(params.a, 'x', 'xxx')",
        "join([params.a, params.a, params.a])",
        "to_json([params.a, params.a])",
    ):
        with pytest.raises(ExpressionError, match="longer than 200,000 characters"):
            evaluate(expression(text), {"params": {"a": "x" * 100_001}})


def test_a_number_of_any_size_may_come_from_a_server() -> None:
    """Python's ints have no end, its floats have one."""
    huge = {"params": {"n": 10**400}}
    assert evaluate(expression("params.n > 1.5 and params.n == params.n"), huge) is True
    for text in ("params.n / 3", "params.n + 1.5", "params.n + 1"):
        with pytest.raises(ExpressionError, match="the number is too large"):
            evaluate(expression(text), huge)


def test_data_nested_too_deeply_is_no_recursion_error() -> None:
    """A server's reply may be made to hurt as well."""
    data: list[Any] = []
    for _ in range(100_000):
        data = [data]
    with pytest.raises(ExpressionError, match="nested too deeply"):
        evaluate(expression("params == params"), {"params": data})


def test_odd_literals_bring_no_warning() -> None:
    """Warnings are errors here: Python's advice must not end up on an operator's screen."""
    assert value_of("1if true else 2") == 1
    assert value_of("'\\d' == '\\\\d'") is True
