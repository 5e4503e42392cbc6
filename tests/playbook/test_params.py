"""Params from the command line: text to typed values, or every reason why not."""

from __future__ import annotations

import pytest

from runbook.errors import ParamError, PlaybookError
from runbook.playbook.model import Playbook
from runbook.playbook.params import ParamValue, bind_params, gather_params, read_params_file
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
        ("type: duration", "30", 'must be a duration such as 500ms, 30s, 5m, 1h or 7d, not "30"'),
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
def test_what_does_not_fit_is_reported(declaration: str, text: str, sentence: str) -> None:
    """The param, what was given, and what is allowed."""
    with pytest.raises(ParamError) as caught:
        bind_params(with_param(declaration), {"p": text})
    (message,) = caught.value.messages
    assert message.startswith(f'param "p" {sentence}')
    assert len(message) < 300


@pytest.mark.parametrize("url", ["https://me:hunter2@example.org/x", "ftp://me:hunter2@example.org/x"])
def test_a_password_in_a_url_is_refused_and_not_repeated(url: str) -> None:
    """I13: it would stand in the journal, and now it must not stand in the error."""
    with pytest.raises(ParamError) as caught:
        bind_params(with_param("type: url"), {"p": url})
    assert "hunter2" not in str(caught.value)


def test_all_errors_are_reported_at_once() -> None:
    """Unknown, missing and unfit params in one go; a near name is offered."""
    with pytest.raises(ParamError) as caught:
        bind_params(good("every-param-type"), {"coutn": "3", "flag": "si", "zzz": "1", "also_must": "x"})
    assert caught.value.messages[0].endswith('Did you mean "count"?')
    assert caught.value.messages[1].startswith(
        'playbook "every.param_type" has no param "zzz"; its params are text, word,'
    )
    assert caught.value.messages[2:] == (
        'param "flag" must be true or false, not "si".',
        'param "must" must be given (--param must=…): an int.',
    )
    assert str(caught.value) == "\n".join(caught.value.messages)


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


SOURCES = parsed(
    "runbook: 1\nname: x\nparams:\n  looks: { type: int, default: 3, min: 2 }\n"
    "  wait: { type: duration, default: 30s }\n"
    "  host: { type: string, pattern: '[a-z]+[0-9]', required: false }\n"
    'steps:\n  - uses: raft.find_dead\n    with: { looks: "${{ params.looks }}", confirm_for: "${{ params.wait }}" }\n'
    '    if: params.host != "x"\n'
)


@pytest.mark.parametrize(
    ("given", "file", "environment", "bound"),
    [
        ({}, "{}", {}, ParamValue(3, "default")),
        ({}, "{}", {"RUNBOOK_PARAM_LOOKS": "4"}, ParamValue(4, "RUNBOOK_PARAM_LOOKS")),
        ({}, "looks: 5", {"RUNBOOK_PARAM_LOOKS": "4"}, ParamValue(5, "params.yaml")),
        ({"looks": "6"}, "looks: 5", {"RUNBOOK_PARAM_LOOKS": "4"}, ParamValue(6, "--param")),
        ({"looks": "6"}, "looks: 1", {"RUNBOOK_PARAM_LOOKS": "x"}, ParamValue(6, "--param")),
    ],
)
def test_the_strongest_source_wins_and_is_named(
    given: dict[str, str], file: str, environment: dict[str, str], bound: ParamValue
) -> None:
    """Command line, file, environment, default; what a stronger one overrules is not even looked at."""
    params = gather_params(SOURCES, given, read_params_file(file.encode(), "params.yaml"), environment)
    assert params["looks"] == bound


def test_a_params_file_is_yaml_or_json_with_types() -> None:
    """A duration has its unit there, as in the playbook itself."""
    for text in ("wait: 1m30s\nlooks: 4\nhost: s1\n", '{"wait": "1m30s", "looks": 4, "host": "s1"}'):
        bound = gather_params(SOURCES, {}, read_params_file(text.encode(), "p.json"))
        assert {name: one.value for name, one in bound.items()} == {"looks": 4, "wait": 90.0, "host": "s1"}
        assert {one.origin for one in bound.values()} == {"p.json"}


def test_every_error_names_its_source() -> None:
    """A person must know which of four places to go to."""
    file = read_params_file(b"looks: 1\nlook: 3\n", "params.yaml")
    with pytest.raises(ParamError) as caught:
        gather_params(SOURCES, {"host": "S1"}, file, {"RUNBOOK_PARAM_WAIT": "soon", "RUNBOOK_PARAM_OTHER": "1"})
    assert caught.value.messages == (
        'params.yaml:2:1: playbook "x" has no param "look"; its params are looks, wait, host. Did you mean "looks"?',
        'params.yaml:1:1: param "looks" must be at least 2, not 1.',
        'RUNBOOK_PARAM_WAIT: param "wait" must be a duration such as 500ms, 30s, 5m, 1h or 7d, not "soon".',
        'param "host" must match [a-z]+[0-9], not the string "S1".',
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("- a", "a params file is a mapping of names to values, not a list"),
        ("a: 1\na: 2", 'duplicate key "a"; line 1 has it already'),
        ("a: 012", "unquoted 012 is octal"),
        ("a: &x 1", "anchors and aliases"),
        ("a: 1\n--- \nb: 1", "a params file is one YAML document"),
        ("a: \0", "a NUL byte is not allowed in a params file"),
        ("a: {" * 50, "nested deeper than 40 levels"),
        ("#" * (1 << 22), "a params file may have 2,097,152"),
    ],
)
def test_a_params_file_is_read_as_strictly_as_a_playbook(text: str, message: str) -> None:
    """One reader, one set of traps."""
    with pytest.raises(PlaybookError) as caught:
        read_params_file(text.encode(), "params.yaml")
    assert message in caught.value.diagnostics[0].message
