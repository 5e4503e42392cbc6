"""A lost quorum whose inventory asks for signatures, on the command line: what is refused, and what goes on. Whoever is
at the terminal types what is asked; the hosts are this machine, with processes that have the folders open.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runbook.cli.terminal import Person
from runbook.lab.simulated import SimulatedLab
from tests.approvers import Signer, allowed_signers, signer
from tests.cli.test_recover import lose
from tests.clock import CLOCK
from tests.command_line import Done, runbook

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root sees who has a folder open")
HOLDS = "import time; f = open({!r}); print('open', flush=True); time.sleep(300)"


@dataclass(frozen=True)
class Desk:
    """A cluster of five Nomad servers of which three are gone, and three people."""

    folder: Path
    state: Path
    cluster: dict[str, Any]
    ann: Signer
    bob: Signer
    eve: Signer

    def recover(
        self,
        rule: dict[str, Any] | None,
        *words: str,
        meanwhile: Callable[[Path], object] = lambda _plan: None,
        playbook: str = "recover-lost-quorum",
        within: str = "5s",
    ) -> Done:
        """``meanwhile`` is done as the cluster's name is typed. ``rule`` is the cluster's in the inventory."""
        clusters = {"practice": {**self.cluster, **({"approve": rule} if rule else {})}}
        inventory = self.state / "clusters.yaml"
        inventory.write_text(json.dumps({"inventory": 1, "clusters": clusters}), encoding="utf-8")
        given = ("--param", "confirm_for=1s", "--param", f"approve_within={within}", "--yes", *words)
        choice = ("--cluster", "practice", "--inventory", str(inventory))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Person, "choose", lambda _self, question, answers: self._answer(question, answers, meanwhile))
            return runbook(self.environment, "execute", playbook, *choice, *given)

    def _answer(self, question: str, answers: tuple[str, ...], meanwhile: Callable[[Path], object]) -> str:
        """What is asked for, typed as it should be."""
        if question.startswith("Recover "):
            (plan,) = self.state.glob("runs/*/recovery-plan.txt")
            meanwhile(plan)
        return answers[0]

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.state), "LOGNAME": "olga",
                "RUNBOOK_STATE_DIR": str(self.state)}  # fmt: skip

    @property
    def events(self) -> list[dict[str, Any]]:
        (journal,) = self.state.glob("runs/*/journal.jsonl")
        return [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["kind"] == kind]

    @property
    def rule(self) -> dict[str, Any]:
        return {"by": str(self.folder / "allowed_signers"), "count": 2}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(Person, "would_choose", lambda _self, _question, answers: answers[0])
    folder, state = tmp_path / "hosts", tmp_path / "state"
    folder.mkdir()
    state.mkdir()
    with SimulatedLab(5, gossip_delay=0.3, hold=0.3) as lab, ExitStack() as processes:
        lab.wait_for_leader()
        lose(lab, "s3", "s4", "s5")
        hosts = {}
        for name in ("s1", "s2"):
            raft = folder / name / "server" / "raft"
            raft.mkdir(parents=True)
            (raft / "peers.info").write_text("", encoding="utf-8")
            (folder / name / "server" / "node-id").write_text(lab.ids[name], encoding="utf-8")
            command = [sys.executable, "-c", HOLDS.format(str(raft / "peers.info"))]
            process = processes.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))
            processes.callback(process.kill)
            assert process.stdout
            process.stdout.readline()
            service = {"stop": "false", "start": "false"}
            hosts[name] = {"local": True, "data_folder": str(folder / name), "service": service}
        people = [signer(folder, f"{name}@example.org") for name in ("ann", "bob", "eve")]
        allowed_signers(folder, *people[:2])
        addresses = dict(zip(lab.names, lab.addresses, strict=True))
        yield Desk(folder, state, {"kind": "nomad", "addresses": addresses, "hosts": hosts}, *people)


def now(**ago: float) -> datetime:
    """By the clock of the run."""
    return datetime.fromisoformat(CLOCK.now()) - timedelta(**ago)


def test_two_people_sign_and_it_goes_on(desk: Desk) -> None:
    """While it waits it names the command; who agreed, by which key and when, is on record, in show and in the report.
    The first change after it is the first stop.
    """

    def both(plan: Path) -> None:
        desk.ann.sign(plan, at=now())
        threading.Timer(0.3, lambda: desk.bob.sign(plan, at=now())).start()

    done = desk.recover(desk.rule, meanwhile=both, within="10m")
    assert done.returncode == 1, done.stdout + done.stderr
    assert [event["uses"] for event in desk.of("change.begun")] == ["host.service"]
    waits = [event["reason"] for event in desk.of("step.waiting") if "signed" in event["reason"]]
    (plan,) = desk.state.glob("runs/*/recovery-plan.txt")
    assert waits[0] == (
        f"1 of 2 people have signed {plan}, by ann@example.org. "
        f"Have another person of {desk.rule['by']} run: runbook approve {plan}"
    )
    agreed = {event["who"]: event for event in desk.of("change.approved") if "SSH key" in event["how"]}
    assert set(agreed) == {"ann@example.org", "bob@example.org"}
    assert agreed["ann@example.org"]["how"].startswith("by the SSH key SHA256:")
    assert agreed["ann@example.org"]["question"].startswith(f"{plan}, SHA-256 ")
    for verb in (("show", "last"), ("report", "last", "--format", "markdown")):
        told = runbook(desk.environment, *verb).stdout.replace("\\@", "@")
        assert "by ann@example.org" in told
        assert "SSH key SHA256:" in told
    shown = runbook(desk.environment, "show", "last").stdout
    assert "signed by ann@example.org, bob@example.org; it still is as planned" in shown
    audit = runbook(desk.environment, "audit", "last", "--format", "json")
    assert {"name": plan.name, "trouble": ""} in json.loads(audit.stdout)["files"], "the record has its digest"


def nothing(_desk: Desk, _plan: Path) -> None:
    pass


def one(desk: Desk, plan: Path) -> None:
    desk.ann.sign(plan, at=now())


def old(desk: Desk, plan: Path) -> None:
    desk.ann.sign(plan, at=now(hours=25))


def stranger(desk: Desk, plan: Path) -> None:
    desk.eve.sign(plan, at=now())


def other_plan(desk: Desk, plan: Path) -> None:
    desk.ann.sign(plan, at=now(), of=b"another plan\n")


def changed_plan(desk: Desk, plan: Path) -> None:
    """What is signed then is not what the run would do."""
    plan.write_bytes(b"a harmless plan\n")
    desk.ann.sign(plan, at=now())


def pipe(_desk: Desk, plan: Path) -> None:
    os.mkfifo(plan.with_name(f"{plan.name}.sig.mallory"))


REFUSED: dict[str, tuple[Callable[[Desk, Path], object], str, str]] = {
    "nobody": (nothing, "NoApproval", "0 of 2 people have signed "),
    "one of two": (one, "TooFewApprovals", "1 of 2 people have signed "),
    "too old": (old, "ApprovalExpired", "the signature of ann@example.org is 1d1h"),
    "a stranger": (stranger, "UnknownSigner", "is nobody's in "),
    "another plan": (other_plan, "WrongDigest", "what ann@example.org signed has the digest "),
    "a plan that was changed": (changed_plan, "WrongDigest", "what ann@example.org signed has the digest "),
    "a pipe": (pipe, "NoApproval", "no approval is recovery-plan.txt.sig.mallory"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_and_nothing_is_stopped(desk: Desk, case: str) -> None:
    act, code, words = REFUSED[case]
    done = desk.recover(desk.rule, meanwhile=lambda plan: act(desk, plan))
    assert (done.returncode, desk.of("change.begun")) == (3, []), done.stdout + done.stderr
    (refused,) = desk.of("run.refused")
    assert (refused["code"], words in refused["message"]) == (code, True), refused
    assert "run: runbook approve " in refused["message"]


@pytest.mark.parametrize("whose", ["name", "key"])
def test_whoever_runs_it_does_not_count(desk: Desk, monkeypatch: pytest.MonkeyPatch, whose: str) -> None:
    """Known by the user's name, or by a key in their folder; and where the rule lets them, they do."""
    if whose == "name":
        monkeypatch.setattr(Desk, "environment", {**desk.environment, "LOGNAME": "ann"})
    else:
        (desk.state / ".ssh").mkdir()
        (desk.state / ".ssh" / "id.pub").write_text(desk.ann.public, encoding="utf-8")
    done = desk.recover({**desk.rule, "count": 1}, meanwhile=lambda plan: one(desk, plan))
    assert done.returncode == 3, done.stdout + done.stderr
    assert desk.of("run.refused")[0]["code"] == "ApprovedByOneself"
    (old_run,) = desk.state.glob("runs/*")
    old_run.rename(desk.state / "old")
    done = desk.recover({**desk.rule, "count": 1, "not_self": False}, meanwhile=lambda plan: one(desk, plan))
    assert [event["uses"] for event in desk.of("change.begun")] == ["host.service"], done.stderr


def test_a_dry_run_tells_that_it_would_be_asked_for(desk: Desk) -> None:
    """It waits for nobody, and says for how long the real run would."""
    done = desk.recover(desk.rule, "--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr
    (confirmed,) = [event for event in desk.of("step.completed") if event["step"] == "confirmed"]
    assert (
        f"would wait up to 5s for signatures on {next(desk.state.glob('runs/*/recovery-plan.txt'))}: 2 of "
        in (confirmed["message"])
    )
    assert desk.of("change.approved") == []


AROUND = """\
runbook: 1
name: around
params:
  confirm_for: { type: duration, default: 1s }
  approve_within: { type: duration, default: 1s }
guards: { max_changes: 9 }
steps:
  - uses: playbook.run
    with:
      playbook: recover-lost-quorum
      params: { confirm_for: "${{ params.confirm_for }}", approve_within: "${{ params.approve_within }}" }
"""


@pytest.mark.parametrize("around", [False, True])
def test_a_playbooks_own_rule_holds_beside_that_of_the_inventory(desk: Desk, around: bool) -> None:
    """Ann is enough for the inventory, and the playbook wants somebody of another list; so does one around it."""
    (desk.state / "own").mkdir()
    own = allowed_signers(desk.state / "own", desk.bob)
    shipped = AROUND if around else runbook(desk.environment, "playbooks", "recover-lost-quorum").stdout
    playbook = desk.state / "own.yaml"
    playbook.write_text(f"{shipped}\napprove: {{ by: {own} }}\n", encoding="utf-8")
    rule = {**desk.rule, "count": 1}
    done = desk.recover(rule, meanwhile=lambda plan: one(desk, plan), playbook=str(playbook))
    assert done.returncode == 3, done.stdout + done.stderr
    (refused,) = desk.of("run.refused")
    assert (refused["code"], f"nobody's in {own}" in refused["message"]) == ("UnknownSigner", True), refused


def test_a_list_that_becomes_unsafe_while_it_waits_is_refused_at_once(desk: Desk) -> None:
    signers = Path(desk.rule["by"])
    done = desk.recover(desk.rule, meanwhile=lambda _plan: signers.chmod(0o666), within="10m")
    assert done.returncode == 3, done.stdout + done.stderr
    assert (desk.of("run.refused")[0]["code"], desk.of("change.begun")) == ("SignersUnsafe", [])


@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_a_list_that_others_may_write_is_refused_before_anything_is_asked(desk: Desk, mode: int) -> None:
    (desk.state / "signers").write_text("", encoding="utf-8")
    (desk.state / "signers").chmod(mode)
    done = desk.recover({"by": str(desk.state / "signers")})
    assert (done.returncode, list(desk.state.glob("runs/*"))) == (2, []), done.stdout
    assert f"others than its owner may write {desk.state / 'signers'}" in done.stderr
