"""The main job against real OpenBao: who does not echo and is refused at both ports goes, who is only sealed stays.

All of it with a token that may do no more than docs/servers/vault.md says is needed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.openbao_lab import OpenBaoLab
from tests.contract.secured import policy_of
from tests.contract.test_recovery import QUICK, ROOT, Outcome

pytestmark = pytest.mark.bao
LIMIT = 400  # seconds for a command: who dies is not called gone for the first minute


@pytest.fixture
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenBaoLab]:
    with OpenBaoLab(tmp_path / "lab", **getattr(request, "param", {})) as lab:
        yield lab


def smallest_token(lab: OpenBaoLab) -> str:
    """By the policy of the page, pasted."""
    policy = policy_of("vault.md")
    leader = lab.wait_for_leader()
    assert lab.ask(leader, "sys/policies/acl/runbook", {"policy": policy})
    asked = {"policies": ["runbook"], "no_default_policy": True, "ttl": "1h"}
    return str(lab.ask(leader, "auth/token/create", asked)["auth"]["client_token"])  # type: ignore[index]


def command(
    lab: OpenBaoLab, folder: Path, *words: str, door: str = "", token: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    """What an operator types, who knows one server that runs."""
    address = lab.api(door or lab.running[0])
    environment = {**os.environ, "BAO_ADDR": address, "BAO_TOKEN": token or smallest_token(lab), **lab.variables}
    environment |= {"RUNBOOK_STATE_DIR": str(folder / "state"), **variables}
    words = (sys.executable, "-m", "runbook", *words)
    return subprocess.run(words, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT, check=False)


def execute(lab: OpenBaoLab, folder: Path, *options: str, **more: str) -> Outcome:
    quick = (*QUICK, "--param", "confirm_final_for=4s")
    done = command(lab, folder, "execute", "remove-dead-peers", *quick, *options, **more)
    newest = max((folder / "state" / "runs").iterdir(), key=lambda run: run.stat().st_mtime)
    events = [json.loads(line) for line in (newest / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
    return Outcome(done.returncode, done.stdout + done.stderr, events)


def findings(lab: OpenBaoLab, folder: Path, **more: str) -> dict[str, dict[str, Any]]:
    told = json.loads(command(lab, folder, "diagnose", "--format", "json", **more).stdout)
    return {finding["name"]: finding for finding in told["findings"]}


@pytest.mark.smoke
def test_a_frozen_server_stays_and_a_dead_one_goes_and_then_the_dead_leader(lab: OpenBaoLab, tmp_path: Path) -> None:
    """And a second run finds nothing to do; the snapshot is kept each time."""
    frozen, killed, *_ = lab.followers()
    lab.freeze(frozen)
    outcome = execute(lab, tmp_path)
    assert (outcome.code, outcome.asked, lab.changes_received()) == (3, [], []), outcome.text
    lab.thaw(frozen)
    lab.until("an echo", lambda: len(lab.echoing()) == lab.servers)

    lab.kill(killed)
    outcome = execute(lab, tmp_path)
    assert (outcome.code, outcome.asked) == (0, [killed]), outcome.text
    assert "state snapshot" in outcome.text
    assert lab.voters() == sorted({*lab.names} - {killed})
    outcome = execute(lab, tmp_path)
    assert (outcome.code, outcome.asked) == (0, []), outcome.text

    leader = lab.wait_for_leader()
    lab.kill(leader)
    lab.wait_for_leader()
    outcome = execute(lab, tmp_path)
    assert (outcome.code, outcome.asked) == (0, [leader]), outcome.text


def test_two_of_five_go_and_a_dry_run_before_sends_nothing(lab: OpenBaoLab, tmp_path: Path) -> None:
    dead = lab.followers()[:2]
    for name in dead:
        lab.kill(name)
    outcome = execute(lab, tmp_path, "--dry-run")
    assert (outcome.code, outcome.asked, lab.changes_received()) == (0, [], []), outcome.text
    outcome = execute(lab, tmp_path)
    assert (outcome.code, sorted(outcome.asked)) == (0, sorted(dead)), outcome.text
    assert len(lab.changes_received()) == 2


def test_a_token_that_may_not_remove_is_told_at_once_in_a_dry_run_too(lab: OpenBaoLab, tmp_path: Path) -> None:
    """By its own capabilities, which the policy named default lets it ask for."""
    policy = policy_of("vault.md")
    leader = lab.wait_for_leader()
    assert lab.ask(leader, "sys/policies/acl/looks", {"policy": policy.partition("# remove")[0]})
    made: Any = lab.ask(leader, "auth/token/create", {"policies": ["looks"], "ttl": "1h"})
    lab.kill(lab.followers()[0])
    for options in ((), ("--dry-run",)):
        outcome = execute(lab, tmp_path, *options, token=made["auth"]["client_token"])
        assert (outcome.code, outcome.asked, lab.changes_received()) == (3, [], []), outcome.text
        assert "this token may not update sys/storage/raft/remove-peer" in outcome.text


def test_three_of_five_dead_is_no_case_for_a_removal(lab: OpenBaoLab, tmp_path: Path) -> None:
    token = smallest_token(lab)
    for name in lab.followers()[:3]:
        lab.kill(name)
    lab.until("no leader", lambda: lab.leader() is None)
    outcome = execute(lab, tmp_path, token=token)
    assert (outcome.code, outcome.asked, lab.changes_received()) == (4, [], []), outcome.text
    assert "quorum is lost: 2 of 5 voters answer and 3 are needed" in outcome.text


def test_who_is_sealed_stays_and_is_named_until_it_has_its_key(lab: OpenBaoLab, tmp_path: Path) -> None:
    """Its port is refused, it does not echo, the list has lost it; even a person's word does not make it dead."""
    sealed, killed, *_ = lab.followers()
    for name in (sealed, killed):
        lab.kill(name)
    lab.start(sealed)
    outcome = execute(lab, tmp_path, "--confirmed-off", sealed, "--because", "the rack lost its power")
    assert outcome.asked == [killed], outcome.text
    found = findings(lab, tmp_path)["SealedServer"]
    assert [server["name"] for server in found["servers"]] == [sealed]
    assert found["next_action"] == f"Unseal it: bao operator unseal -address={lab.address(sealed)}"
    lab.unseal(sealed)
    lab.until("an echo", lambda: len(lab.echoing()) == lab.servers - 1)
    assert "SealedServer" not in findings(lab, tmp_path)
    assert sealed in lab.voters()


def test_where_too_many_are_sealed_and_where_all_are_the_key_is_named(lab: OpenBaoLab, tmp_path: Path) -> None:
    token = smallest_token(lab)
    restarted = lab.followers()[:3]
    for name in restarted:
        lab.kill(name)
        lab.start(name)
    lab.until("no leader", lambda: lab.leader() is None)
    door = next(n for n in lab.names if n not in restarted)

    def advice() -> str:
        """In the first seconds the door passes everything on to the active server that is gone."""
        return str(findings(lab, tmp_path, token=token, door=door)["QuorumLostTransient"]["next_action"])

    assert "nseal" in advice()
    lab.until("the configuration again", lambda: "Unseal it: bao operator unseal" in advice())
    outcome = execute(lab, tmp_path, token=token, door=restarted[0])
    assert (outcome.code, outcome.asked, lab.changes_received()) == (4, [], []), outcome.text
    for name in {*lab.names} - {*restarted}:
        lab.kill(name)
        lab.start(name)
    lab.until("an answer", lambda: lab.ask("s1", "sys/seal-status"))
    assert "SealedServer" in findings(lab, tmp_path, token=token, door="s1")
    outcome = execute(lab, tmp_path, token=token, door="s1")
    assert (outcome.code, outcome.asked) == (4, []), outcome.text
    assert "bao operator unseal" in outcome.text


ONE_DOOR = {"closed": frozenset({"s2", "s3", "s4", "s5"})}


@pytest.mark.parametrize("lab", [ONE_DOOR], indirect=True)
def test_behind_one_door_the_dead_and_the_sealed_look_alike_and_only_a_person_can_tell(
    lab: OpenBaoLab, tmp_path: Path
) -> None:
    """Every other API is bound to where this host cannot reach it. Nobody alive is missed, and a quorum is proven."""
    assert "Healthy" in findings(lab, tmp_path, door="s1")
    sealed, killed, frozen = [name for name in lab.followers() if name != "s1"][:3]
    for name in (sealed, killed):
        lab.kill(name)
    lab.start(sealed)
    outcome = execute(lab, tmp_path, door="s1")
    assert (outcome.code, outcome.asked, lab.changes_received()) == (3, [], []), outcome.text
    assert "it may be sealed" in outcome.text
    outcome = execute(lab, tmp_path, "--confirmed-off", killed, "--because", "it burned", door="s1")
    assert outcome.asked == [killed], outcome.text
    lab.unseal(sealed)
    lab.freeze(frozen)
    outcome = execute(lab, tmp_path, "--confirmed-off", frozen, "--because", "it burned, too", door="s1")
    assert outcome.asked == [], outcome.text


def test_a_removed_server_that_is_started_again_is_named_and_disturbs_nothing(lab: OpenBaoLab, tmp_path: Path) -> None:
    """It echoes, answers as a standby, and shows the configuration of old."""
    removed, killed, *_ = lab.followers()
    lab.kill(removed)
    outcome = execute(lab, tmp_path)
    assert (outcome.code, outcome.asked) == (0, [removed]), outcome.text
    lab.start(removed)
    lab.unseal(removed)
    lab.until("an echo", lambda: len(lab.echoing()) == lab.servers)
    assert "old" in findings(lab, tmp_path)["ZombiePeer"]["sentence"]
    lab.kill(killed)
    for door in (removed, lab.wait_for_leader()):
        outcome = execute(lab, tmp_path, "--dry-run", door=door)
        assert outcome.code == 0, outcome.text
    outcome = execute(lab, tmp_path, door=removed)
    assert (outcome.code, outcome.asked) == (0, [killed]), outcome.text


SECURED = {"servers": 3, "tls": True}


@pytest.mark.parametrize("lab", [SECURED], indirect=True)
def test_over_tls_it_is_told_what_is_wrong_and_the_main_job_is_done(lab: OpenBaoLab, tmp_path: Path) -> None:
    """By BAO_CACERT and BAO_TLS_SERVER_NAME, as the certificate is for no address."""
    for wrong in ({"BAO_CACERT": ""}, {"BAO_TLS_SERVER_NAME": "another.name"}):
        found = command(lab, tmp_path, "diagnose", **wrong)
        assert (found.returncode, "TLS failed" in found.stdout) == (4, True), found.stdout
    assert set(findings(lab, tmp_path)) == {"Healthy"}
    killed = lab.followers()[0]
    lab.kill(killed)
    outcome = execute(lab, tmp_path, "--param", "min_voters=2")
    assert (outcome.code, outcome.asked) == (0, [killed]), outcome.text
