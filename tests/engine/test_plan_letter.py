"""What a plan does not say is not done under it: not by a playbook that was put in another's place, and not with values
that nobody knew when it was made.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from runbook.events import RunCompleted, RunRefused
from tests.engine.planned import HEAD, held, planned

COMMAND = '  - id: {}\n    uses: command.run\n    with: {{ argv: ["true", "{}"] }}\n'
READS = "  - id: asked\n    uses: command.run\n    effect: read\n    with: { argv: [echo, more] }\n"
WITH_VALUE = {
    "a command": COMMAND.format("act", "${{ asked.stdout }}"),
    "each item": f"""{COMMAND.format("act", "${{ asked.stdout }}${{ item }}")}    for_each: "[1, 2]"\n""",
    "a request": "  - id: act\n    uses: http.request\n"
    '    with: { method: DELETE, url: "http://127.0.0.1:1/${{ asked.stdout }}" }\n',
}


@pytest.mark.parametrize("what", WITH_VALUE)
def test_a_change_with_a_value_that_nobody_knew_is_in_no_plan(what: str, tmp_path: Path) -> None:
    """Else whoever writes what the command says would choose what is done under the plan."""
    text = COMMAND.format("first", "known") + READS + WITH_VALUE[what]
    plan = planned(text, tmp_path)
    assert [request.step for request in plan.requests] == ["first"]
    assert "act" in plan.unknown
    run = held(text, tmp_path, plan)
    ending = run.execute()
    assert isinstance(ending, RunRefused), ending
    assert (ending.code, ending.step) == ("NotInPlan", "act")
    assert [record["step"] for record in run.records if record["kind"] == "change.begun"] == ["first"]


@pytest.mark.parametrize("said", ["the same", "more"])
def test_what_a_command_said_as_the_plan_was_made_it_must_say_again(said: str, tmp_path: Path) -> None:
    """A change was read, and signed, with just that in it."""
    (words := tmp_path / "words").write_text("the same", encoding="utf-8")
    reads = f"""  - id: asked\n    uses: command.run\n    effect: read\n    with: {{ argv: [cat, "{words}"] }}\n"""
    text = reads + COMMAND.format("act", "${{ asked.stdout }}")
    plan = planned(text, tmp_path, run_reads=True)
    assert [request.step for request in plan.requests] == ["act"]
    words.write_text(said, encoding="utf-8")
    run = held(text, tmp_path, plan)
    ending = run.execute()
    assert len(run.kinds("change.begun")) == (said == "the same"), ending
    if said != "the same":
        assert isinstance(ending, RunRefused)
        assert (ending.code, ending.step) == ("PlanMoved", "act")
        assert "step asked (command.run) says something else than as the plan was made" in ending.message


NESTED = "  - id: within\n    uses: playbook.run\n    with: {{ playbook: {} }}\n"


@pytest.mark.parametrize("how", ["another text", "another place"])
def test_another_playbook_in_the_place_of_a_nested_one_is_refused(how: str, tmp_path: Path) -> None:
    """Its steps have the ids and types of the plan's, and so would pass for them."""
    inner, other = tmp_path / "inner.yaml", tmp_path / "other.yaml"
    inner.write_text(HEAD + COMMAND.format("act", "meant"), encoding="utf-8")
    text = COMMAND.format("first", "known") + NESTED.format(inner)
    plan = planned(text, tmp_path)
    assert [request.step for request in plan.requests] == ["first", "within/act"]
    assert isinstance(held(text, tmp_path, plan).execute(), RunCompleted)
    target = inner if how == "another text" else other
    target.write_text(HEAD + COMMAND.format("act", "evil"), encoding="utf-8")
    run = held(text.replace(str(inner), str(target)), tmp_path, plan)
    ending = run.execute()
    assert isinstance(ending, RunRefused), ending
    assert (ending.code, ending.step) == ("PlanMoved", "within"), ending
    assert f"the playbook {target}, which step within runs, has the SHA-256 " in ending.message
    assert [record["step"] for record in run.records if record["kind"] == "change.begun"] == ["first"]
