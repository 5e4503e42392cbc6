"""What the keys of a step become in the model, and what their expressions give: what the engine may rely on."""

from __future__ import annotations

from typing import Any

import pytest

from runbook.errors import ExpressionError
from runbook.playbook.expressions.evaluate import evaluate_condition, evaluate_items, resolve
from runbook.playbook.expressions.model import UNKNOWN
from runbook.playbook.model import Effect, Playbook, Secret, StepSpec
from runbook.playbook.types import literal_number
from tests.playbook.cases import diagnostics_of, good, parsed

HEAD = "runbook: 1\nname: x\nguards: { max_changes: 1 }\n"


def step(playbook: Playbook, step_id: str) -> StepSpec:
    return next(step for step in playbook.every_step() if step.id == step_id)


def of(step_id: str) -> StepSpec:
    return step(good("every-control-word"), step_id)


def test_every_step_is_listed_in_reading_order() -> None:
    """Blocks before their handlers, the playbook's own handlers last."""
    assert [step.id for step in good("every-control-word").every_step()] == (
        "before healthy greeted clean dead each ask remove told_failure told_end seen verify webhook message".split()
    )


def test_a_step_holds_its_options() -> None:
    """Durations are seconds; what is not written is None, empty or False."""
    before, healthy = of("before"), of("healthy")
    assert (literal_number(before.timeout), before.until, before.continue_on_failure) == (120.0, None, False)
    assert healthy.until is not None
    assert (literal_number(healthy.until.every), literal_number(healthy.until.within)) == (2.0, 300.0)
    assert (healthy.continue_on_failure, healthy.timeout, healthy.assertion) == (True, None, None)
    waiting = step(good("waiting"), "leader").until
    assert waiting is not None
    assert (resolve(waiting.every, {}), resolve(waiting.within, {})) == (5.0, 120.0)


def test_until_and_assert_are_asked_of_the_result() -> None:
    """They give True, False or UNKNOWN; the message is a text over the same scope."""
    until, assertion = of("healthy").until, of("before").assertion
    assert until is not None
    assert assertion is not None
    assert assertion.message is not None
    assert evaluate_condition(until.condition, {"result": {"status": 200, "json": {"ready": 1}}}) is True
    assert evaluate_condition(until.condition, {"result": {"status": 503, "json": None}}) is False
    assert evaluate_condition(until.condition, {"result": UNKNOWN}) is UNKNOWN
    assert evaluate_condition(assertion.condition, {"result": {"voters": 2}}) is False
    assert resolve(assertion.message, {"result": {"voters": 2}}) == "only 2 voters; three are the least"


def test_a_mapping_is_gone_through_entry_by_entry() -> None:
    """``for_each`` gives a list either way, in the order of the file."""
    each = of("greeted")
    assert each.for_each is not None
    items = evaluate_items(each.for_each, {"params": {"hosts": {"s1": "a", "s2": "b"}}})
    assert items == [{"key": "s1", "value": "a"}, {"key": "s2", "value": "b"}]
    scope = {"item": items[1], "loop": {"index": 2}}
    assert resolve(each.arguments["text"], scope) == "2: s2 is at b"
    with pytest.raises(ExpressionError, match="for_each needs a list or a mapping, not 3"):
        evaluate_items(each.for_each, {"params": {"hosts": 3}})


def test_what_undo_shows_is_a_sentence_over_the_result() -> None:
    """For the human; nothing acts on it."""
    undo = of("remove").undo
    assert undo is not None
    sentence = resolve(undo, {"item": {"name": "s4"}, "result": {"outcome": "removed"}})
    assert sentence == "Start s4 again: it joins by gossip and becomes a voter (removed)."


def test_a_block_has_steps_and_handlers_and_no_type() -> None:
    """Three lists; ``uses`` is empty."""
    clean, remove = of("clean"), of("remove")
    assert (clean.uses, clean.arguments, [inner.id for inner in clean.steps]) == ("", {}, ["dead", "each"])
    assert [[inner.id for inner in listed] for listed in (clean.on_failure, clean.finally_)] == [["seen"], []]
    assert [inner.id for inner in (*remove.on_failure, *remove.finally_)] == ["told_failure", "told_end"]
    playbook = good("every-control-word")
    assert [[inner.id for inner in listed] for listed in (playbook.on_failure, playbook.finally_)] == [
        ["webhook"],
        ["message"],
    ]


@pytest.mark.parametrize(
    ("step_id", "effect"),
    [
        ("before", Effect.READ),
        ("healthy", Effect.READ),  # as it says
        ("remove", Effect.CHANGE),
        ("each", Effect.CHANGE),  # as what is in it
        ("clean", Effect.CHANGE),
        ("webhook", Effect.CHANGE),
    ],
)
def test_a_step_knows_its_effect(step_id: str, effect: Effect) -> None:
    """So that nobody has to look into the catalogue, and a block counts as the strongest step in it."""
    assert of(step_id).effect is effect


def test_a_step_knows_whether_it_stands_under_guards() -> None:
    """A message is not read, but no lock and no approval is needed for it."""
    guarded = [step.id for step in good("every-control-word").every_step() if step.guarded]
    assert guarded == ["clean", "each", "remove"]


def test_a_block_is_as_strong_as_its_handlers() -> None:
    """A change in ``on_failure`` is one, and unknown stands between change and read."""
    block = "steps: [{{ id: b, steps: [{{ uses: raft.snapshot }}], on_failure: [{0}] }}]"
    change = parsed(HEAD + block.format("{ uses: raft.remove_peer, with: { peer: a } }"))
    unknown = parsed(HEAD + block.format("{ uses: command.run, with: { argv: [a] } }"))
    read = parsed(HEAD + block.format("{ uses: log.message, with: { text: a } }"))
    found = [step(playbook, "b").effect for playbook in (change, unknown, read)]
    assert found == [Effect.CHANGE, Effect.UNKNOWN, Effect.READ]


@pytest.mark.parametrize(
    ("outcomes", "answer"),
    [({"clean": "success"}, "success"), ({}, "not_run"), ({"clean": UNKNOWN}, UNKNOWN), (UNKNOWN, UNKNOWN)],
)
def test_the_outcome_of_a_step_can_be_asked_for(outcomes: Any, answer: object) -> None:
    """From the scope's ``outcomes``; a step that is not there has not run."""
    text = "runbook: 1\nname: x\nsteps: [{ id: clean, uses: raft.snapshot }]\n"
    text += 'finally: [{ uses: set, with: { values: { it: "${{ outcome(steps.clean) }}" } } }]'
    value = step(parsed(text), "set").arguments["values"]
    assert resolve(value, {"outcomes": outcomes}) == {"it": answer}


def test_handlers_know_how_it_ended() -> None:
    """``run`` has the outcome, the step that failed, and why."""
    run = {"id": "1", "name": "x", "outcome": "failed", "failed_step": "remove", "error": "no leader"}
    values = of("webhook").arguments
    scope = {"run": run, "secrets": {"hook": "https://example.org/h"}}
    assert resolve(values["text"], scope) == "x stopped at remove: no leader"
    condition = of("message").condition
    assert condition is not None
    assert evaluate_condition(condition, {"run": run}) is True
    assert evaluate_condition(condition, {"run": {**run, "outcome": "interrupted"}}) is False


def test_a_value_names_the_secrets_it_reads() -> None:
    """So that each is fetched as late as possible, and no other."""
    values = of("healthy").arguments
    assert {name: set(value.secrets) for name, value in values.items()} == {
        "url": set(),
        "headers": {"token", "key"},
        "json": {"password"},
    }
    sent = resolve(values["headers"], {"secrets": {"token": "t", "key": "k"}})
    assert sent == {"Authorization": "Bearer t", "X-Key": "k"}


def test_a_secret_is_a_reference() -> None:
    """A source and what to ask it for; an argument list is split as a shell would, and no shell is run."""
    found = [(secret.name, secret.source, secret.target) for secret in good("every-control-word").secrets]
    assert found == [
        ("hook", "env", ("ONCALL_WEBHOOK",)),
        ("token", "file", ("/run/secrets/token",)),
        ("password", "exec", ("pass", "show", "oncall/api key")),
        ("key", "vault", ("secret/data/oncall", "key")),
    ]
    assert isinstance(good("every-control-word").secrets[0], Secret)


def test_guards_hold_the_cooldown_in_seconds() -> None:
    """Like every other guard it is a value that may be computed."""
    cooldown = good("every-control-word").guards.cooldown
    assert cooldown is not None
    assert resolve(cooldown, {}) == 3600.0


@pytest.mark.parametrize(
    ("uses", "step_id"),
    [("raft.snapshot", "snapshot"), ("wait.for", "wait_for"), ("assert", "assert_step"), ("set", "set")],
)
def test_an_id_is_made_of_the_type(uses: str, step_id: str) -> None:
    """Its last word, unless expressions have another use for that."""
    playbook = good("default-ids")
    assert next(step for step in playbook.steps if step.uses == uses).id == step_id


def test_a_key_can_be_taken_from_every_item_of_a_list() -> None:
    """``map`` makes ``any``, ``all`` and ``in`` useful for lists of peers."""
    until = step(good("waiting"), "slow").until
    assert until is not None
    peers = [{"name": "s1", "id": "a"}, {"name": "s2", "id": "b"}]
    assert evaluate_condition(until.condition, {"result": {"count": 2, "peers": peers}}) is True
    assert evaluate_condition(until.condition, {"result": {"count": 1, "peers": peers[1:]}}) is False
    assert evaluate_condition(until.condition, {"result": {"count": 1, "peers": UNKNOWN}}) is UNKNOWN


@pytest.mark.parametrize(
    "written",
    ['["${{ params.p.x }}", "${{ params.p.x }}"]', '"${{ [params.p.x, params.p.x] }}"', '"a ${{ params.p.x }}"'],
)
def test_a_value_that_doubles_with_every_step_is_stopped(written: str) -> None:
    """Twenty steps would fill a disk and forty the world; also in a text, where all of it would be written out."""
    step = f"{{ uses: set, with: {{ values: {{ it: {written} }} }} }}"
    text = f"runbook: 1\nname: x\nparams: {{ p: {{ type: map }} }}\nsteps: [{step}]"
    value = parsed(text).steps[0].arguments["values"]
    doubled: Any = 1
    for _ in range(40):
        doubled = [doubled, doubled]
    with pytest.raises(ExpressionError, match="the value holds more than 100,000 values"):
        resolve(value, {"params": {"p": {"x": doubled}}})


def test_no_secret_that_stands_in_a_playbook_is_shown() -> None:
    """Neither where a reference is expected, nor the user of a URL: validation is run in public logs."""
    text = (
        "runbook: 1\nname: x\nsecrets: { a: hunter2, b: 'exec:hunter2 \"', c: [hunter2], hunter: 0123 }\n"
        "params: { u: { type: url, default: 'https://me:hunter2@example.org/' } }\n"
        "steps: [{ uses: http.request, with: { url: 'http://hunter2@h/', methd: 'http://a:hunter2@h' } }]\n"
    )
    shown = "\n".join(diagnostic.render() for diagnostic in diagnostics_of(text.encode()))
    assert "hunter2" not in shown
    assert "0123" not in shown
    assert 'secret "a" must be a reference' in shown
