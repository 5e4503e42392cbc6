"""Params from the command line: text to typed values, or every reason why not."""

from __future__ import annotations

import pytest

from runbook.playbook.model import Playbook
from runbook.playbook.params import ParamError, bind_params
from tests.playbook.cases import good, parsed


def with_param(declaration: str) -> Playbook:
    return parsed(
        f"runbook: 1\nname: x\nparams:\n  p: {{ {declaration} }}\n"
        "steps:\n  - uses: raft.snapshot\n    if: params.p != null\n"
    )


@pytest.mark.parametrize(
    ("declaration", "text", "value"),
    [
        ("type: string", "", ""),
        ("type: string", "012", "012"),
        ("type: int", "-12", -12),
        ("type: int", " 12 ", 12),
        ("type: int, min: 1, max: 3", "1", 1),
        ("type: int, min: 1, max: 3", "3", 3),
        ("type: float", "1e3", 1000.0),
        ("type: float", "2", 2.0),
        ("type: bool", "true", True),
        ("type: bool", "FALSE", False),
        ("type: duration", "1h30m", 5400.0),
        ("type: duration", "500ms", 0.5),
        ("type: enum, choices: [a, b]", "b", "b"),
        ("type: int, choices: [1, 2]", "2", 2),
        ("type: list", "s1, s2,s3", ["s1", "s2", "s3"]),
        ("type: list", "", []),
        ("type: list", '[1, {"a": null}]', [1, {"a": None}]),
        ("type: map", '{"a": [1.5]}', {"a": [1.5]}),
        ("type: url", "https://example.org:8443/x?y#z", "https://example.org:8443/x?y#z"),
        ("type: path", "./a b", "./a b"),
    ],
)
def test_what_is_given_becomes_typed(declaration: str, text: str, value: object) -> None:
    """A shell knows only text; the declaration says what it means."""
    bound = bind_params(with_param(declaration), {"p": text})
    assert bound == {"p": value}
    assert type(bound["p"]) is type(value)


@pytest.mark.parametrize(
    ("declaration", "text", "sentence"),
    [
        ("type: int", "three", 'must be an int, not "three"'),
        ("type: int", "1.5", 'must be an int, not "1.5"'),
        ("type: int", "1_000", 'must be an int, not "1_000"'),
        ("type: int", "٣", 'must be an int, not "٣"'),
        ("type: int", "9" * 19, 'must be an int, not "9999999999999999999"'),
        ("type: int, min: 1, max: 3", "0", "must be at least 1, not 0"),
        ("type: int, min: 1, max: 3", "x", 'must be an int, at least 1, at most 3, not "x"'),
        ("type: int, max: 3", "4", "must be at most 3, not 4"),
        ("type: float", "nan", 'must be a number, not "nan"'),
        ("type: float", "1e999", 'must be a number, not "1e999"'),
        ("type: bool", "yes", 'must be true or false, not "yes"'),
        ("type: duration", "30", 'must be a duration such as 500ms, 30s, 5m or 1h, not "30"'),
        ("type: duration, min: 1s, max: 1h", "2h", "must be at most 1h, not 2h"),
        ("type: enum, choices: [fast, slow]", "fats", 'must be one of "fast", "slow", not the string "fats"'),
        ("type: list", "[1", 'must be a list, not "[1"'),
        ("type: list", "[" * 90_000, "must be a list, not"),
        ("type: map", "a=1", 'must be a mapping, not "a=1"'),
        ("type: map", "[1]", "must be a mapping, not a list"),
        ("type: map", '{"a": NaN}', "must be a mapping, not"),
        ("type: map", '{"a": 1e999}', "must be a mapping, not"),
        ("type: map", '{"a": ' + "9" * 5_000 + "}", "must be a mapping, not"),
        ("type: url", "example.org", 'must be a URL such as https://host/path, not the string "example.org"'),
        ("type: path", "", 'must be a path, not the string ""'),
        ("type: string", "x" * 100_001, "must not be longer than 100,000 characters"),
    ],
)
def test_what_does_not_fit_is_told(declaration: str, text: str, sentence: str) -> None:
    """The param, what was given, and what is allowed."""
    with pytest.raises(ParamError) as caught:
        bind_params(with_param(declaration), {"p": text})
    (fault,) = caught.value.faults
    assert fault.startswith(f'param "p" {sentence}')
    assert len(fault) < 300


@pytest.mark.parametrize("url", ["https://me:hunter2@example.org/x", "ftp://me:hunter2@example.org/x"])
def test_a_password_in_a_url_is_refused_and_not_repeated(url: str) -> None:
    """I13: it would stand in the journal, and now it must not stand in the error."""
    with pytest.raises(ParamError) as caught:
        bind_params(with_param("type: url"), {"p": url})
    assert "hunter2" not in str(caught.value)


def test_all_faults_are_told_at_once() -> None:
    """Unknown, missing and unfit params in one go; a near name is offered."""
    with pytest.raises(ParamError) as caught:
        bind_params(good("every-param-type"), {"coutn": "3", "flag": "si", "zzz": "1", "also_must": "x"})
    assert caught.value.faults[0].endswith('Did you mean "count"?')
    assert caught.value.faults[1].startswith(
        'playbook "every.param_type" has no param "zzz"; its params are text, word,'
    )
    assert caught.value.faults[2:] == (
        'param "flag" must be true or false, not "si".',
        'param "must" must be given (--param must=…): an int.',
    )
    assert str(caught.value) == "\n".join(caught.value.faults)


def test_a_param_without_a_default_must_be_given() -> None:
    """Unless it says that it need not: a step must not find null where nobody thought of it."""
    assert bind_params(with_param("type: int, required: false"), {}) == {"p": None}
    for declaration in ("type: int, summary: how many", "type: int, required: true, summary: how many"):
        with pytest.raises(ParamError, match=r'param "p" must be given \(--param p=…\): an int; how many\.'):
            bind_params(with_param(declaration), {})


def test_a_playbook_without_params_says_so() -> None:
    """Better than an empty list."""
    with pytest.raises(ParamError, match='playbook "minimal" has no param "x"; it has no params.'):
        bind_params(good("minimal"), {"x": "1"})


def test_defaults_are_bound_and_nobody_shares_them() -> None:
    """A run that changes its list does not change the next run's."""
    playbook = good("every-param-type")
    given = {"must": "1", "also_must": "x"}
    bound = bind_params(playbook, given)
    assert bound["names"] == ["a", 1, None, {"b": True}]
    assert bound["table"] == {"on": 1, "012": []}
    assert (bound["wait"], bound["share"], bound["may"]) == (90.0, 0.1, None)
    assert isinstance(bound["names"], list)
    bound["names"].clear()
    assert bind_params(playbook, given)["names"] == ["a", 1, None, {"b": True}]
