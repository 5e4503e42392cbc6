"""What is asked before a step that is no removal changes anything, whatever its type: the cluster, and a person."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from runbook.engine.change_guards import ChangeGuards
from runbook.engine.services import RunServices
from runbook.errors import RefusedError
from runbook.events import RunCompleted, RunFailed, RunRefused
from runbook.raft.removal import Refusal
from runbook.run_state import RunState
from runbook.steps import extensions
from runbook.steps.context import Agreement
from tests.engine.commands import INNER, REMOVALS, TOUCH, code_of, commands, done, extension
from tests.engine.fake import PLAYBOOK, FakeClock, FakeCluster, Run
from tests.engine.test_resume import resumed

OTHERS = {
    "command.run": '{ argv: ["true"] }',
    "ssh.run": "{ host: h, argv: [uptime] }",
    "ssh.copy": "{ host: h, send: /etc/hostname, to: x }",
    "http.request": '{ url: "http://127.0.0.1:9/", method: POST }',
    "my.step": "{}",
}


@pytest.mark.parametrize("uses", OTHERS)
@pytest.mark.parametrize("guards", ["max_changes: 0", "min_voters: 9", "nobody agrees", "locked"])
def test_every_type_of_change_is_held_to_every_guard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uses: str, guards: str
) -> None:
    """Those of other packages too: refused before the body is run, with no intent on record."""
    monkeypatch.setattr(extensions, "one_of", lambda _name, _ours: extension(lambda *_: pytest.fail("it was run")))
    text = f"  - uses: {uses}\n    with: {OTHERS[uses]}\n"
    played = commands(tmp_path, guards if ":" in guards else "max_changes: 1", more=text)
    played.agreed = None if guards == "nobody agrees" else "ann"
    if guards == "locked":
        played = Locked(played.cluster, tmp_path, text=played.text)
    code = code_of(played)
    assert code == {"max": "TooManyChanges", "min": "BelowMinimumVoters", "nob": "NotApproved"}.get(
        guards[:3], "Locked"
    )
    assert played.kinds("change.") == []


class Locked(Run):
    """Another run has this cluster."""

    def _services(self, dry_run: bool) -> RunServices:
        def claim(_peers: frozenset[str]) -> None:
            raise RefusedError(Refusal("Locked", "another run holds this cluster", "Wait for it"))

        return replace(super()._services(dry_run), acquire=claim)


def test_min_voters_is_asked_of_a_look_just_before_each_command(tmp_path: Path, mark: Path) -> None:
    """Voters that are proven alive, not those that are listed."""
    played = commands(tmp_path, "max_changes: 9, min_voters: 4", "first", "second", "third")
    played.cluster.at_look = {2: lambda c: c.dead.add(5), 3: lambda c: c.dead.add(4)}
    ending = played.execute()
    assert isinstance(ending, RunRefused)
    assert (ending.code, done(mark)) == ("BelowMinimumVoters", ["first", "second"])
    assert "3 of 5 voters are proven alive and the playbook's min_voters is 4" in ending.message


def test_no_command_follows_from_a_look_that_took_too_long(tmp_path: Path, mark: Path) -> None:
    """I16: what a leader that answers slowly said a quarter of a minute ago is not *just before*."""
    played = commands(tmp_path, "max_changes: 9, min_voters: 3", "first")
    played.cluster.slow_looks = {1: 15.0}
    ending = played.execute()
    assert isinstance(ending, RunFailed), ending
    assert (ending.error_kind, done(mark), played.kinds("change.")) == ("unavailable", [], ["change.approved"])
    assert "not begun: the look that its guards were asked of began more than 10 s ago" in ending.message


@pytest.mark.parametrize(
    ("dead", "falls", "words"),
    [
        (set(), 5, "failure tolerance fell from 2 to 1"),
        ({4, 5}, 3, "quorum is lost: live voters fell by 1 during this run, 1 more needed"),
    ],
)
def test_never_worse_is_asked_before_each_command(
    tmp_path: Path, mark: Path, dead: set[int], falls: int, words: str
) -> None:
    """Two commands that each kill a server: the second is refused; also where the tolerance was 0 before the first."""
    played = commands(tmp_path, "max_changes: 9, never_worse: true", "first", "second", dead=dead)
    played.cluster.at_look = {2: lambda c: c.dead.add(falls)}
    ending = played.execute()
    assert isinstance(ending, RunRefused)
    assert (ending.code, words in ending.message, done(mark)) == ("NeverWorse", True, ["first"]), ending.message


@pytest.mark.parametrize("guards", ["min_voters: 1", "never_worse: true"])
def test_what_is_stated_of_a_cluster_that_cannot_be_read_is_refused(tmp_path: Path, mark: Path, guards: str) -> None:
    """With the guard's name; unread is not fine."""
    played = commands(tmp_path, f"max_changes: 9, {guards}", "first", leader=None)
    ending = played.execute()
    assert isinstance(ending, RunRefused)
    assert (ending.code, guards.split(":")[0] in ending.message, done(mark)) == ("ClusterUnreadable", True, [])


def test_commands_that_state_nothing_of_a_cluster_need_none(tmp_path: Path, mark: Path) -> None:
    """Nobody answers: it is looked for once, nothing is held, and nothing is refused."""
    played = commands(tmp_path, "max_changes: 2", "first", "second", dead={1, 2, 3, 4, 5})
    assert isinstance(played.execute(), RunCompleted)
    assert (done(mark), played.cluster.looks, played.kinds("cluster.claimed")) == (["first", "second"], 1, [])


@pytest.mark.parametrize("leader", [1, None], ids=["led", "without a leader"])
def test_commands_hold_the_cluster_that_the_run_points_at(tmp_path: Path, leader: int | None) -> None:
    """Once, before the first of them; who its servers are is known without a leader too."""
    played = commands(tmp_path, "max_changes: 2", "first", "second", leader=leader)
    assert isinstance(played.execute(), RunCompleted)
    kinds = [record["kind"] for record in played.records]
    assert kinds.count("cluster.claimed") == 1
    assert kinds.index("cluster.claimed") < kinds.index("change.begun")


SNAPSHOT = "  - id: {id}\n    uses: raft.snapshot\n    continue_on_failure: true\n"


def test_commands_hold_the_cluster_that_has_gone_silent_since(tmp_path: Path, mark: Path) -> None:
    """Which one it is does not grow old: by an earlier look of this process, or by the record of the one before."""
    looks = SNAPSHOT.format(id="a") + SNAPSHOT.format(id="b")
    played = commands(tmp_path, "max_changes: 9", more=looks + TOUCH.format(id="first", file=mark))
    played.cluster.at_look = {2: lambda cluster: cluster.dead.update(range(1, 6))}
    assert isinstance(played.execute(), RunCompleted)
    assert (played.kinds("cluster.claimed"), done(mark)) == (["cluster.claimed"], ["first"])
    played.text += TOUCH.format(id="second", file=mark).encode()
    del played.records[-1]
    assert isinstance(resumed(played), RunCompleted)
    assert (played.kinds("cluster.claimed"), done(mark)) == (["cluster.claimed"] * 2, ["first", "second"])


def test_a_stated_guard_of_a_playbook_within_holds_inside_it(tmp_path: Path, mark: Path) -> None:
    """And not after it."""
    steps = TOUCH.format(id="within", file=mark)
    (tmp_path / "inner.yaml").write_text(INNER.format(guards="guards: { min_voters: 5 }\n") + steps, encoding="utf-8")
    nested = "  - id: nested\n    uses: playbook.run\n    with: { playbook: inner.yaml }\n"
    last = TOUCH.format(id="last", file=mark)
    played = commands(tmp_path, "max_changes: 9", "first", more=nested + last, dead={5})
    assert (code_of(played), done(mark)) == ("BelowMinimumVoters", ["first"])
    played = commands(tmp_path, "max_changes: 9", "first", more=nested + last)
    played.cluster.at_look = {3: lambda c: c.dead.add(5)}
    assert isinstance(played.execute(), RunCompleted)


# -- a person


def test_nothing_is_begun_before_a_person_has_agreed_and_nobody_is_asked_for_what_is_refused(tmp_path: Path) -> None:
    """The guards and the cool-down come first: at 3 a.m. nobody says yes for nothing."""
    played = commands(tmp_path, "max_changes: 0", "first")
    assert (code_of(played), played.questions) == ("TooManyChanges", [])
    asked = commands(tmp_path, "max_changes: 9", "first", "second")
    assert isinstance(asked.execute(), RunCompleted)
    assert asked.questions == ["Run step first (command.run) for nomad:fake? This run may make at most 9 changes"]
    kinds = [record["kind"] for record in asked.records]
    assert kinds.index("change.approved") < kinds.index("change.begun")
    agreed = next(record for record in asked.records if record["kind"] == "change.approved")
    assert (agreed["who"], agreed["how"]) == ("ann", "at the terminal")


def test_nobody_types_a_name_where_a_cool_down_is_in_the_way(tmp_path: Path) -> None:
    """As in the recovery of a lost quorum, where several are typed before the first change."""
    played = Run(FakeCluster(FakeClock()), tmp_path)

    def refuse(_peers: frozenset[str]) -> None:
        raise RefusedError(Refusal("CoolDown", "a run changed it", "Look at it"))

    services = replace(played._services(False), check_cooldown=refuse)
    with pytest.raises(RefusedError, match="a run changed it"):
        ChangeGuards(services, RunState(), changes=True).choose("Type s5:", ("s5",))
    assert played.questions == []
    ChangeGuards(services, RunState(), changes=False).choose("Type s5:", ("s5",))
    assert played.questions == ["Type s5:"]


def test_the_servers_that_will_go_are_named_once_and_before_the_first(tmp_path: Path) -> None:
    """All that were proven; a person who has agreed to a command has not agreed to them."""
    played = commands(tmp_path, "max_changes: 9, min_voters: 3", "first", more=REMOVALS, dead={4, 5})
    assert isinstance(played.execute(), RunCompleted)
    both = "s4.global (127.0.0.14:4647), s5.global (127.0.0.15:4647)"
    assert played.questions[1:] == [f"Remove {both} from nomad:fake: 5 -> 3 voters?"]


def test_a_run_that_finds_nothing_to_change_asks_nobody(tmp_path: Path) -> None:
    played = Run(FakeCluster(FakeClock()), tmp_path, agreed=None)
    assert isinstance(played.execute(), RunCompleted)
    assert played.questions == []


class Slow(Run):
    """The person takes eight minutes, in which more goes wrong."""

    def _services(self, dry_run: bool) -> RunServices:
        def approve(_sentence: str, _seconds: float) -> Agreement:
            self.cluster.clock.sleep(480.0)
            self.cluster.dead.add(2)
            return Agreement("ann", "at the terminal")

        return replace(super()._services(dry_run), approve=approve)


def test_why_a_death_is_confirmed_once_more_after_an_answer_that_took_long(tmp_path: Path) -> None:
    """Without a word of it whoever said yes would see the same wait begin again."""

    def approve(_sentence: str, _seconds: float) -> Agreement:
        slow.cluster.clock.sleep(40.0)
        return Agreement("ann", "at the terminal")

    slow = Run(FakeCluster(FakeClock(), dead={5}), tmp_path)
    given = slow._services
    slow._services = lambda dry_run: replace(given(dry_run), approve=approve)  # type: ignore[method-assign]
    assert isinstance(slow.execute(), RunCompleted)
    reasons = [record["reason"] for record in slow.records if record["kind"] == "step.waiting"]
    assert "confirming s5.global is dead anew, as no look was taken for 40 s" in reasons


@pytest.mark.parametrize("command", [True, False], ids=["a command", "a removal"])
def test_what_was_seen_before_a_person_took_their_time_is_looked_at_again(tmp_path: Path, command: bool) -> None:
    """The guard must see what is then."""
    played = commands(tmp_path, "max_changes: 9, never_worse: true", "first")
    text, dead = (played.text, set()) if command else (PLAYBOOK.read_bytes(), {5})
    slow = Slow(FakeCluster(FakeClock(), dead=dead), tmp_path, text=text)
    assert (code_of(slow), slow.kinds("change.begun"), slow.cluster.changes) == ("NeverWorse", [], [])


def test_after_a_refusal_no_handler_changes_anything(tmp_path: Path, mark: Path) -> None:
    """I5: it may tell somebody; what it would change is told as refused."""
    handler = f"on_failure:\n{TOUCH.format(id='anyway', file=mark)}"
    person = '  - id: person\n    uses: approve\n    with: { prompt: "Go on?" }\n'
    played = commands(tmp_path, "max_changes: 9", more=person + handler)
    played.agreed = None
    assert (code_of(played), done(mark)) == ("NotApproved", [])
    failed = [record for record in played.records if record["kind"] == "step.failed" and record["step"] == "anyway"]
    assert "this run was refused before (NotApproved), so it changes nothing more" in failed[0]["message"]


def test_a_dry_run_foretells_what_the_count_and_the_cluster_refuse(tmp_path: Path, mark: Path) -> None:
    """I14; it asks nobody, holds nothing and writes no intent."""
    for guards in ("max_changes: 1", "max_changes: 9, min_voters: 9"):
        foretold = commands(tmp_path, guards, "first", "second")
        ending, real = foretold.execute(dry_run=True), commands(tmp_path, guards, "first", "second").execute()
        assert (getattr(ending, "code", ""), getattr(ending, "step", "")) == (
            getattr(real, "code", "x"),
            getattr(real, "step", "x"),
        )
        assert (foretold.questions, foretold.kinds("change.begun"), foretold.kinds("cluster.claimed")) == ([], [], [])
    assert done(mark) == ["first"]
