"""`runbook plan`, `show plan.json` and `execute --plan`, as a person types them, on a simulated Nomad."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runbook.lab.simulated import SimulatedLab
from runbook.signatures import sign_approval
from tests.approvers import allowed_signers, signer
from tests.clock import CLOCK
from tests.command_line import PLAYBOOK, QUICK, SHORT, Done, changes, environment, followers, runbook


@pytest.fixture
def lab() -> Iterator[SimulatedLab]:
    with SimulatedLab(5, gossip_delay=0.3) as lab:
        lab.wait_for_leader()
        yield lab


def die(lab: SimulatedLab, *names: str) -> None:
    for name in names:
        lab.kill(name)
    for name in names:
        lab.wait_for_gossip(name, "failed")


def plan(lab: SimulatedLab, target: Path, *words: str, playbook: str = PLAYBOOK) -> Done:
    done = runbook(environment(lab, str(lab.leader())), "plan", playbook, *SHORT, "-o", str(target), *words)
    assert changes(lab) == []
    return done


def execute(lab: SimulatedLab, target: Path, *words: str, **more: str) -> Done:
    return runbook(environment(lab, str(lab.leader()), **more), "execute", "--plan", str(target), "--yes", *words)


def events() -> list[dict[str, Any]]:
    newest = max(Path(os.environ["RUNBOOK_STATE_DIR"]).glob("runs/*/journal.jsonl"))
    return [json.loads(line) for line in newest.read_text(encoding="utf-8").splitlines()]


def test_nothing_moved_and_exactly_the_planned_requests_leave_and_once(lab: SimulatedLab, tmp_path: Path) -> None:
    """In the planned order. The plan is for this user alone, is shown to people, and is executed once."""
    target, dead = tmp_path / "plan.json", followers(lab)[:2]
    die(lab, *dead)
    made = plan(lab, target)
    assert made.returncode == 0, made.stdout + made.stderr
    assert f"Next: runbook execute --plan {target}" in made.stderr
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    held = json.loads(target.read_text(encoding="utf-8"))
    assert sorted(request["peer"] for request in held["requests"]) == sorted(lab.ids[name] for name in dead)
    shown = runbook({"HOME": str(tmp_path)}, "show", str(target))
    assert (shown.returncode, shown.stdout) == (0, made.stdout), shown.stderr
    assert f"digest             {held['digest']}" in shown.stdout
    done = execute(lab, target)
    assert done.returncode == 0, done.stdout + done.stderr
    wanted = [f"DELETE /v1/operator/raft/peer?id={request['peer']}" for request in held["requests"]]
    assert changes(lab) == wanted
    started, *_ = told = events()
    assert started["plan"] == {"digest": held["digest"], "file": str(target)}
    assert [event["digest"] for event in told if event["kind"] == "plan.held"] == [held["digest"]]
    again = execute(lab, target)
    assert again.returncode == 3
    assert f"was executed before, by {started['run']}" in again.stderr
    folder = Path(os.environ["RUNBOOK_STATE_DIR"]) / "runs" / started["run"]
    assert (folder / "plan.json").read_bytes() == target.read_bytes()
    assert runbook(dict(os.environ), "audit", started["run"]).returncode == 0
    (folder / "plan.json").write_bytes(b"{}")
    assert runbook(dict(os.environ), "audit", started["run"]).returncode == 1


def test_one_more_server_dies_and_the_plan_is_refused_with_the_difference(lab: SimulatedLab, tmp_path: Path) -> None:
    """Without the plan the playbook would remove both. The plan may be executed still, once it holds again."""
    target, (dead, other, *_) = tmp_path / "plan.json", followers(lab)
    die(lab, dead)
    assert plan(lab, target).returncode == 0
    die(lab, other)
    done = execute(lab, target)
    assert (done.returncode, changes(lab)) == (3, [])
    assert "remove-dead-peers REFUSED at step plan: since the plan was made (" in done.stdout
    assert f"{other}.global was alive and it is dead now: " in done.stdout
    lab.restart(other)
    lab.wait_for_gossip(other, "alive")
    done = execute(lab, target)
    assert done.returncode == 0, done.stdout + done.stderr
    assert changes(lab) == [f"DELETE /v1/operator/raft/peer?id={lab.ids[dead]}"]


def test_a_planned_peer_that_somebody_else_removed_is_fine_and_said(lab: SimulatedLab, tmp_path: Path) -> None:
    target, dead = tmp_path / "plan.json", followers(lab)[0]
    die(lab, dead)
    assert plan(lab, target).returncode == 0
    theirs = environment(lab, str(lab.leader()), RUNBOOK_STATE_DIR=str(tmp_path / "theirs"))
    assert runbook(theirs, "execute", PLAYBOOK, *QUICK).returncode == 0
    done = execute(lab, target, "--log-format", "text")
    assert (done.returncode, len(changes(lab))) == (0, 1), done.stdout + done.stderr
    assert f"{dead}.global is gone already: somebody else removed it" in done.stderr


def test_a_run_that_stopped_goes_on_held_to_the_copy_in_its_folder(lab: SimulatedLab, tmp_path: Path) -> None:
    """Whatever became of the plan's own file, and though its time is over by then."""
    target, dead = tmp_path / "plan.json", followers(lab)[0]
    die(lab, dead)
    assert plan(lab, target, "--expires", "1m").returncode == 0
    lab.inject("too_many_connections", method="DELETE", times=None)
    assert execute(lab, target).returncode == 4
    lab.clear_faults()
    target.unlink()
    CLOCK.sleep(61)
    env = environment(lab, str(lab.leader()))
    (copy,) = Path(os.environ["RUNBOOK_STATE_DIR"]).glob("runs/*/plan.json")
    whole = copy.read_bytes()
    copy.write_bytes(whole.replace(b"min_voters", b"max_voters"))
    spoilt = runbook(env, "resume", "last", "--yes")
    assert (spoilt.returncode, "was changed after it was made" in spoilt.stderr) == (2, True), spoilt.stderr
    copy.write_bytes(whole)
    other = next(name for name in followers(lab) if name != dead)
    die(lab, other)
    moved = runbook(env, "resume", "last", "--yes")
    assert (moved.returncode, f"{other}.global was alive and it is dead now" in moved.stdout) == (3, True), moved.stdout
    lab.restart(other)
    lab.wait_for_gossip(other, "alive")
    done = runbook(env, "resume", "last", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "remove-dead-peers: recovered" in done.stdout


def test_what_is_given_beside_the_plan_must_be_the_same(lab: SimulatedLab, tmp_path: Path) -> None:
    """The playbook's text, a param, the product: each with its values; nothing is asked of any server."""
    target, own = tmp_path / "plan.json", tmp_path / "own.yaml"
    shutil.copy(PLAYBOOK, own)
    die(lab, followers(lab)[0])
    assert plan(lab, target, playbook=str(own)).returncode == 0
    asked = len(lab.requests)
    other = execute(lab, target, "--param", "min_voters=1")
    assert (other.returncode, "param min_voters is 1 now and 3 in the plan" in other.stderr) == (3, True), other.stderr
    own.write_text(f"{own.read_text(encoding='utf-8')}# one more line\n", encoding="utf-8")
    for words in ((), (str(own),)):
        done = execute(lab, target, *words)
        assert (done.returncode, f"the playbook {own} has the SHA-256 " in done.stderr) == (3, True), done.stderr
    shutil.copy(PLAYBOOK, own)
    consul = {"CONSUL_HTTP_ADDR": lab.addresses[0], "RUNBOOK_STATE_DIR": str(tmp_path / "state")}
    done = runbook(consul, "execute", "--plan", str(target), "--yes")
    assert (done.returncode, "the plan was made for nomad:" in done.stderr) == (3, True), done.stderr
    assert len(lab.requests) == asked
    assert execute(lab, target, *SHORT).returncode == 0, "what is the same may be given"


def test_another_cluster_is_refused(lab: SimulatedLab, tmp_path: Path) -> None:
    target = tmp_path / "plan.json"
    die(lab, followers(lab)[0])
    assert plan(lab, target).returncode == 0
    ids = json.loads(target.read_text(encoding="utf-8"))["identities"]
    assert set(ids) == set(lab.ids.values())
    lab.stop()
    with SimulatedLab(3, gossip_delay=0.3, seed=7) as other:
        other.wait_for_leader()
        assert not set(ids) & set(other.ids.values())
        done = execute(other, target)
        assert (done.returncode, changes(other)) == (3, [])
        assert "none of the servers of the plan, which was made for nomad:http://" in done.stdout


BAD: dict[str, Callable[[bytes], bytes]] = {
    "edited": lambda text: text.replace(b"min_voters", b"max_voters"),
    "truncated": lambda text: text[:-40],
    "another format": lambda text: text.replace(b'"runbook_plan": 1', b'"runbook_plan": 2'),
}


def test_a_bad_file_and_an_old_one_are_refused_in_one_sentence(lab: SimulatedLab, tmp_path: Path) -> None:
    """Nobody is asked anything."""
    target, spoilt = tmp_path / "plan.json", tmp_path / "spoilt.json"
    die(lab, followers(lab)[0])
    assert plan(lab, target, "--expires", "2m").returncode == 0
    asked = len(lab.requests)
    for how, spoil in BAD.items():
        spoilt.write_bytes(spoil(target.read_bytes()))
        for words in (("execute", "--plan", str(spoilt), "--yes"), ("show", str(spoilt)), ("approve", str(spoilt))):
            done = runbook(environment(lab, lab.names[0]), *words)
            assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), f"{how}: {done}"
    CLOCK.sleep(121)
    done = execute(lab, target)
    assert (done.returncode, f"the plan {target} expired at" in done.stderr, len(lab.requests)) == (3, True, asked)
    assert "ITS TIME IS OVER" in runbook(environment(lab, lab.names[0]), "show", str(target)).stdout
    for words in (("--expires", "1s"), ("--expires", "30d")):
        assert runbook({}, "plan", PLAYBOOK, "-o", str(target), *words).returncode == 2


def test_of_a_run_that_would_be_refused_no_plan_is_written(lab: SimulatedLab, tmp_path: Path) -> None:
    """The exit code is that run's."""
    die(lab, *followers(lab)[:2])
    done = plan(lab, tmp_path / "plan.json", "--param", "min_voters=4")
    assert (done.returncode, (tmp_path / "plan.json").exists()) == (3, False)
    assert "WOULD BE REFUSED at step quorum" in done.stdout
    assert "no plan was written" in done.stderr


# -- signatures


with_keys = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen here")


def inventory_of(lab: SimulatedLab, folder: Path, rule: dict[str, Any]) -> Path:
    addresses = dict(zip(lab.names, lab.addresses, strict=True))
    path, entry = folder / "clusters.yaml", {"kind": "nomad", "addresses": addresses, "approve": rule}
    path.write_text(json.dumps({"inventory": 1, "clusters": {"practice": entry}}), encoding="utf-8")
    return path


@with_keys
def test_six_refusals_and_the_good_one(lab: SimulatedLab, tmp_path: Path) -> None:
    """Where the inventory asks for signatures, an ordinary run needs a plan that has them. Who agreed is on record."""
    target, folder = tmp_path / "plan.json", tmp_path / "keys"
    folder.mkdir()
    ann, bob, olga, eve = (signer(folder, f"{name}@example.org") for name in ("ann", "bob", "olga", "eve"))
    rule = {"by": str(allowed_signers(folder, ann, bob, olga)), "count": 2}
    inventory = inventory_of(lab, tmp_path, rule)
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LOGNAME": "olga",
           "RUNBOOK_STATE_DIR": os.environ["RUNBOOK_STATE_DIR"]}  # fmt: skip
    cluster = ("--cluster", "practice", "--inventory", str(inventory))
    die(lab, dead := followers(lab)[0])
    for words in (("--dry-run",), ()):
        done = runbook(env, "execute", PLAYBOOK, *cluster, *QUICK, *words)
        assert (done.returncode, changes(lab)) == (3, []), done.stdout
        assert "a plan of this run must be signed by 2 people of " in done.stdout
        assert f"runbook plan {PLAYBOOK} --cluster practice -o plan.json; have them run runbook approve" in done.stdout
    made = runbook(env, "plan", PLAYBOOK, *cluster, *SHORT, "-o", str(target))
    assert made.returncode == 0, made.stdout + made.stderr
    assert f"must be signed     by 2 people of {rule['by']}" in made.stdout
    digest = json.loads(target.read_text(encoding="utf-8"))["digest"]
    now = datetime.fromisoformat(CLOCK.now())

    def sign(who: Any, of: str = digest, at: datetime = now) -> Path:
        signed = target.with_name(f"plan.json.sig.{who.name.partition('@')[0]}")
        signed.write_bytes(sign_approval(of, at, str(who.key), Path("/nonexistent")))
        return signed

    def refused(*signed: Path) -> str:
        for dry in (("--dry-run",), ()):  # which foretells it
            done = runbook(env, "execute", "--plan", str(target), "--yes", *dry)
            assert (done.returncode, changes(lab)) == (3, []), done.stdout
        for path in signed:
            path.unlink()
        return str(next(event["code"] for event in events() if event["kind"] == "run.refused"))

    assert refused() == "NoApproval"
    assert refused(sign(ann)) == "TooFewApprovals"
    assert refused(sign(ann, at=now - timedelta(days=2))) == "ApprovalExpired"
    assert refused(sign(olga)) == "ApprovedByOneself"
    assert refused(sign(eve)) == "UnknownSigner"
    assert refused(sign(ann, of="0" * 64)) == "WrongDigest"
    sign(ann)
    approved = runbook({**env, "LOGNAME": "bob"}, "approve", str(target), "--key", str(bob.key), "--yes")
    assert approved.returncode == 0, approved.stderr
    assert f"  change 1           remove {dead}.global (" in approved.stderr
    assert f"SHA-256 {digest}" in approved.stderr
    done = runbook(env, "execute", "--plan", str(target), "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert changes(lab) == [f"DELETE /v1/operator/raft/peer?id={lab.ids[dead]}"]
    agreed = {event["who"].partition("@")[0]: event for event in events() if event["kind"] == "change.approved"}
    assert list(agreed) == ["ann", "bob", "olga"]
    assert agreed["ann"]["how"].startswith("by the SSH key SHA256:")
    assert (agreed["bob"]["question"], agreed["olga"]["how"]) == (f"the plan {digest}", "by --yes")
