"""What a good playbook becomes, and what its values are at run time and in a dry run."""

from __future__ import annotations

import ast
import hashlib
import pickle
from pathlib import Path
from typing import Any

import pytest
import yaml

from runbook.errors import ExpressionError
from runbook.playbook.expressions.evaluate import evaluate_condition, evaluate_items, resolve
from runbook.playbook.expressions.model import UNKNOWN, Expression
from runbook.playbook.expressions.syntax import ParsedExpression, parse_expression
from runbook.playbook.model import Playbook, StepSpec, Value
from runbook.playbook.params import bind_params
from runbook.playbook.parser import parse_playbook
from runbook.steps.registry import CATALOG
from tests.playbook.cases import FILES, GOOD, good, parsed

PEERS = [{"id": "b", "address": "127.0.0.2:4647", "name": "s2", "voter": True}]


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_a_good_playbook_parses_with_libyaml_and_without(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PyYAML built without libyaml reads the same playbook, at the same places."""
    fast = parse_playbook(path.read_bytes(), path.name, CATALOG)
    monkeypatch.delattr(yaml, "CBaseLoader", raising=False)
    slow = parse_playbook(path.read_bytes(), path.name, CATALOG)
    assert fast == slow
    assert fast.name.replace(".", "-").replace("_", "-") == path.stem
    assert [step.mark for step in fast.steps] == [step.mark for step in slow.steps]


def test_the_digest_is_that_of_the_bytes() -> None:
    """A plan names by it the very file that was checked."""
    data = (FILES / "good" / "minimal.yaml").read_bytes()
    assert good("minimal").digest == hashlib.sha256(data).hexdigest()


def test_the_playbook_of_the_design_is_read_as_written() -> None:
    """Retry, guards, ids and params hold what the text says, durations in seconds."""
    playbook = good("remove-dead-peers")
    assert [step.id for step in playbook.steps] == ["before", "dead", "quorum", "remove", "verify"]
    assert bind_params(playbook, {}) == {"confirm_for": 30.0, "max_removals": 2}
    retry = step(playbook, "remove").retry
    assert retry is not None
    assert (resolved(retry.times, {}), retry.wait.content, retry.jitter) == (5, "1s..30s", True)
    assert resolved(retry.within, {}) == 180.0
    assert retry.only_on == frozenset({"no_leader", "timeout", "unavailable"})
    scope = {"params": {"confirm_for": 30.0, "max_removals": 7}}
    assert resolved(playbook.guards.max_changes, scope) == 7
    assert resolved(playbook.guards.min_voters, scope) == 3
    assert resolved(playbook.guards.never_worse, scope) is True


def step(playbook: Playbook, step_id: str) -> StepSpec:
    return next(step for step in playbook.steps if step.id == step_id)


def resolved(value: Value | None, scope: dict[str, Any]) -> Any:
    assert value is not None
    return resolve(value, scope)


def arguments(playbook: Playbook, step_id: str, scope: dict[str, Any]) -> dict[str, Any]:
    return {name: resolve(value, scope) for name, value in step(playbook, step_id).arguments.items()}


def test_values_keep_their_type_alone_and_become_text_inside_text() -> None:
    """``${{ }}`` alone gives the list itself; a duration in a text reads as people write it."""
    playbook = good("remove-dead-peers")
    scope = {"params": {"confirm_for": 45.0}, "dead": {"peers": PEERS, "count": 1}, "item": PEERS[0]}
    assert arguments(playbook, "dead", scope) == {"confirm_for": 45.0}
    assert arguments(playbook, "quorum", scope) == {"remove": PEERS}
    assert arguments(playbook, "remove", scope) == {"peer": "b"}
    assert arguments(playbook, "verify", scope) == {"within": 120.0, "successes": 3, "watch_for": 70.0}
    every = good("every-param-type")
    many = {"item": "b", "params": {"table": {"x": 1}, "wait": 90.0, "may": None}}
    assert arguments(every, "many", many) == {"peer": "b of 1 after 1m30snull"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (None, "null"),
        (3, "3"),
        (3.0, "3"),
        (0.5, "0.5"),
        ("é", "é"),
        ([1, "é"], '[1, "é"]'),
        ({}, "{}"),
    ],
)
def test_a_value_inside_a_text_reads_as_in_yaml(value: object, text: str) -> None:
    """So that an operator sees ``true``, not ``True``."""
    playbook = parsed(
        "runbook: 1\nname: x\nguards: { max_changes: 1 }\nparams: { p: { type: map } }\n"
        'steps: [{ uses: raft.remove_peer, with: { peer: "<${{ params.p.x }}>" } }]'
    )
    assert arguments(playbook, "remove_peer", {"params": {"p": {"x": value}}}) == {"peer": f"<{text}>"}


def test_nested_arguments_are_computed_and_fresh_each_time() -> None:
    """A step that changes a list it was given changes nobody else's."""
    playbook = good("expressions-everywhere")
    scope = {"dead": {"peers": [PEERS[0], {"id": "c"}]}}
    wanted = [PEERS[0], {"id": "c", "name": "literal"}]
    first = arguments(playbook, "quorum", scope)["remove"]
    assert first == wanted
    first.clear()
    assert arguments(playbook, "quorum", scope)["remove"] == wanted
    assert arguments(playbook, "dead", {}) == {"looks": 3, "confirm_for": 20.0}


def test_conditions_and_lists() -> None:
    """``if`` gives a bool, ``for_each`` a list, and both say so when the data is otherwise."""
    playbook = good("expressions-everywhere")
    condition, for_each = step(playbook, "quorum").condition, step(playbook, "remove").for_each
    assert condition is not None
    assert for_each is not None
    assert evaluate_condition(condition, {"dead": {"count": 1, "peers": PEERS}}) is True
    assert evaluate_condition(condition, {"dead": {"count": 0, "peers": []}}) is False
    assert evaluate_items(for_each, {"quorum": {"removals": PEERS}}) == PEERS
    with pytest.raises(ExpressionError, match=r"20:20: for_each needs a list or a mapping, not 3"):
        evaluate_items(for_each, {"quorum": {"removals": 3}})


def test_a_dry_run_computes_with_what_is_known_only_after_apply() -> None:
    """UNKNOWN flows through values, texts, conditions and lists, and is never taken for true or false."""
    playbook = good("expressions-everywhere")
    scope = {"params": {"force": True}, "quorum": UNKNOWN, "dead": UNKNOWN, "item": UNKNOWN}
    condition, for_each = step(playbook, "quorum").condition, step(playbook, "remove").for_each
    assert condition is not None
    assert for_each is not None
    assert evaluate_condition(condition, scope) is UNKNOWN
    assert evaluate_items(for_each, scope) is UNKNOWN
    assert arguments(playbook, "remove", scope) == {"peer": UNKNOWN}
    assert arguments(good("every-param-type"), "many", {**scope, "params": UNKNOWN}) == {"peer": UNKNOWN}
    assert resolved(playbook.guards.never_worse, scope) is False


@pytest.mark.parametrize(
    ("count", "sentence"),
    [("three", "must be an int, not the string"), (1, "must be at least 2, not 1"), (None, "must be an int, not null")],
)
def test_a_computed_argument_that_does_not_fit_says_where_and_why(count: object, sentence: str) -> None:
    """The declaration holds at run time as it does at load."""
    playbook = parsed(
        "runbook: 1\nname: x\nparams: { p: { type: map } }\n"
        'steps: [{ uses: raft.find_dead, with: { looks: "${{ params.p.n }}" } }]'
    )
    with pytest.raises(ExpressionError, match=rf'playbook.yaml:4:48: parameter "looks" {sentence}'):
        arguments(playbook, "find_dead", {"params": {"p": {"n": count}}})


def test_the_result_of_a_skipped_step_is_reported_as_such() -> None:
    """The engine leaves a skipped step out of the scope."""
    with pytest.raises(ExpressionError, match=r'23:26: in "dead.peers": there is no value of "dead" here'):
        arguments(good("remove-dead-peers"), "quorum", {})


def test_defaults_of_a_retry() -> None:
    """A bound is all that must be said."""
    bound = "runbook: 1\nname: x\nsteps: [{ uses: raft.snapshot, retry: { times: 2 } }]"
    retry = step(parsed(bound), "snapshot").retry
    assert retry is not None
    assert (resolved(retry.times, {}), retry.within, retry.only_on) == (2, None, None)
    assert (retry.wait.content, retry.jitter) == ("1s..30s", True)
    retry = step(good("expressions-everywhere"), "verify").retry
    assert retry is not None
    assert (resolved(retry.times, {}), retry.jitter, retry.only_on) == (2, False, frozenset({"timeout"}))
    retry = step(good("expressions-everywhere"), "remove").retry
    assert retry is not None
    assert (retry.times, resolved(retry.within, {}), retry.wait.content) == (None, 90.0, "2s")


@pytest.mark.parametrize("seconds", [10**400, -1, float("nan"), 1e300, "soon", [30], True])
def test_a_computed_duration_is_bounded(seconds: object) -> None:
    """Whatever a server says, no wait becomes endless and nothing but our own error comes out."""
    playbook = parsed(
        "runbook: 1\nname: x\nparams: { p: { type: map } }\n"
        'steps: [{ uses: raft.verify, with: { within: "${{ params.p.n }}" } }]'
    )
    assert arguments(playbook, "verify", {"params": {"p": {"n": 30}}}) == {"within": 30.0}
    with pytest.raises(ExpressionError, match=r'parameter "within" must be a duration'):
        arguments(playbook, "verify", {"params": {"p": {"n": seconds}}})


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_a_playbook_is_plain_data_that_can_be_written_down(path: Path) -> None:
    """Pickled and read again it is the same, and the text of each expression gives the same tree again."""
    playbook = parse_playbook(path.read_bytes(), path.name, CATALOG)
    again = pickle.loads(pickle.dumps(playbook))  # noqa: S301
    assert again == playbook
    for one, other in zip(expressions_of(playbook), expressions_of(again), strict=True):
        parsed = parse_expression(one.text)
        assert isinstance(parsed, ParsedExpression)
        assert parsed.at(one.mark, one.type) == one
        assert ast.dump(parsed.tree) == ast.dump(one.tree) == ast.dump(other.tree)


def expressions_of(playbook: Playbook) -> list[Expression]:
    """Of the arguments and conditions."""
    found = []
    for step in playbook.every_step():
        found += [expression for value in step.arguments.values() for expression in value.expressions()]
        found += [expression for expression in (step.condition, step.for_each) if expression is not None]
    return found


def test_a_duration_that_was_not_given_reads_as_null_in_a_text() -> None:
    """A param of any type may be null; only what is a number is written as people write durations."""
    playbook = parsed(
        "runbook: 1\nname: x\nparams: { wait: { type: duration, required: false } }\n"
        'steps: [{ uses: log.message, with: { text: "after ${{ params.wait }}" } }]'
    )
    assert arguments(playbook, "message", {"params": {"wait": None}}) == {"text": "after null"}
    assert arguments(playbook, "message", {"params": {"wait": 90.0}}) == {"text": "after 1m30s"}
