"""``runbook print``: what a person does where the program does not, for a playbook, live, and for a run."""

from __future__ import annotations

import errno
import re
import stat
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runbook.by_hand import HandView, ListedServer
from runbook.engine.plan import bind_plan
from runbook.lab.simulated import SimulatedLab
from runbook.playbook.parser import parse_playbook
from runbook.raft.removal_by_hand import remove_by_hand
from runbook.recorded import fold_recorded
from runbook.session import by_hand
from runbook.session.run_folders import read_run
from runbook.steps.registry import CATALOG
from tests.command_line import PLAYBOOK, QUICK, ROOT, SHORT, changes, environment, followers, runbook


@pytest.fixture
def lab() -> Iterator[SimulatedLab]:
    with SimulatedLab(5, gossip_delay=0.3) as lab:
        lab.wait_for_leader()
        yield lab


EVERY_WORD = str(ROOT / "tests" / "whole" / "every-word.yaml")


def blocks(page: str) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def can_be_read(page: str) -> None:
    """By a POSIX shell, each block alone."""
    for block in blocks(page):
        done = subprocess.run(["/bin/sh", "-n"], input=block, capture_output=True, text=True, timeout=10, check=False)
        assert done.returncode == 0, f"{block}\n{done.stderr}"
        for inner in re.findall(r"<<'BY_HAND'\n(.*?)^BY_HAND$", block, re.MULTILINE | re.DOTALL):
            assert subprocess.run(["/bin/sh", "-n"], input=inner, text=True, timeout=10, check=False).returncode == 0


def ids(page: str) -> set[str]:
    """Of the servers that a block would remove."""
    return set(re.findall(r"^id=(\S+) name=", page, re.MULTILINE))


@pytest.mark.parametrize("kind", ["nomad", "consul", "etcd", "vault", "openbao"])
def test_nobody_is_asked_for_what_is_not_live(kind: str, tmp_path: Path) -> None:
    """Every step stands there with the product's commands, and no server is named."""
    done = runbook({"HOME": str(tmp_path)}, "print", "remove-dead-peers", "--kind", kind)
    assert done.returncode == 0, done.stderr
    for number, step in enumerate(("before", "dead", "quorum", "remove", "verify"), start=1):
        assert f"## {number}. {step} (" in done.stdout
    assert "Once for each of quorum.removals." in done.stdout
    assert ids(done.stdout) == {"'<ID>'"}
    can_be_read(done.stdout)
    assert not (tmp_path / ".local").exists()


def test_an_unfilled_block_stops_by_itself(tmp_path: Path) -> None:
    """Whoever pastes it as it is has changed nothing."""
    done = runbook({"HOME": str(tmp_path)}, "print", "remove-dead-peers", "--kind", "consul")
    block = next(block for block in blocks(done.stdout) if "BY_HAND" in block)
    pasted = subprocess.run(["/bin/sh"], input=block, capture_output=True, text=True, timeout=10, check=False)
    assert (pasted.returncode, pasted.stdout) == (1, "")
    assert "STOPPED, <NAME> was not removed: fill in id, name and address" in pasted.stderr


def test_live_names_who_is_dead_and_changes_nothing(lab: SimulatedLab) -> None:
    """Its address, its id, what was found, and the address of a server that answers; a yes is not asked for."""
    dead, asked, *_ = followers(lab)
    lab.kill(dead)
    lab.wait_for_gossip(dead, "failed")
    done = runbook(environment(lab, asked), "print", PLAYBOOK, *SHORT, "--live")
    assert done.returncode == 0, done.stderr
    assert ids(done.stdout) == {lab.ids[dead]}
    assert f"nomad operator raft remove-peer -peer-id={lab.ids[dead]}" in done.stdout
    assert re.search(r"^export NOMAD_ADDR=http://127", done.stdout, re.MULTILINE)
    assert f"> {dead}.global is dead: " in done.stdout
    can_be_read(done.stdout)
    assert changes(lab) == []


def test_where_the_run_would_be_refused_no_command_is_given(lab: SimulatedLab) -> None:
    """Why, with what is to be done instead, and the exit code of that run."""
    for name in followers(lab)[:2]:
        lab.kill(name)
        lab.wait_for_gossip(name, "failed")
    env = environment(lab, str(lab.leader()))
    done = runbook(env, "print", PLAYBOOK, *SHORT, "--param", "min_voters=4", "--live")
    assert (done.returncode, blocks(done.stdout)) == (3, []), done.stdout
    assert "WOULD BE REFUSED at step quorum" in done.stdout
    assert "So no command is given." in done.stdout


def test_where_quorum_is_lost_no_command_is_given(lab: SimulatedLab) -> None:
    """A removal that is sent then bars elections."""
    asked, *dead = followers(lab)
    for name in dead:
        lab.kill(name)
    done = runbook(environment(lab, asked), "print", PLAYBOOK, *SHORT, "--live")
    assert (done.returncode, blocks(done.stdout)) == (4, []), done.stdout
    assert "quorum is lost" in done.stdout


# -- of a run


def page_of(folder: Path) -> str:
    path = folder / "by-hand.md"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    return path.read_text(encoding="utf-8")


def folder_of(stdout: str) -> Path:
    return Path(re.findall(r"^record +(\S+)$", stdout, re.MULTILINE)[-1])


def test_a_run_that_fails_leaves_what_is_left(lab: SimulatedLab) -> None:
    """The removal, with the id that was proven; what is done is named alone; and the record tells the same."""
    dead, asked, *_ = followers(lab)
    lab.kill(dead)
    lab.wait_for_gossip(dead, "failed")
    env = environment(lab, asked)
    told = runbook(env, "execute", PLAYBOOK, *SHORT)  # nobody agrees
    assert told.returncode == 3
    refused = page_of(folder_of(told.stdout))
    assert "REFUSED at step remove" in refused
    assert blocks(refused) == []
    assert f"by hand            {folder_of(told.stdout)}/by-hand.md" in told.stdout

    lab.inject("too_many_connections", method="DELETE", times=None)
    failed = runbook(env, "execute", PLAYBOOK, *QUICK)
    folder = folder_of(failed.stdout)
    assert failed.returncode != 0, failed.stdout
    page = page_of(folder)
    assert "Done already: before, dead, quorum." in page
    assert ids(page) == {lab.ids[dead]}
    can_be_read(page)
    assert f"by hand            {folder}/by-hand.md: what is left, as commands" in failed.stdout
    again = runbook(env, "print", "--run", folder.name)
    assert (again.returncode, again.stdout) == (0, page)


def test_a_removal_is_told_only_while_the_newest_look_calls_the_server_dead(lab: SimulatedLab) -> None:
    """And with a leader, and a quorum; before it was proven, nobody is named."""
    dead, asked, *_ = followers(lab)
    lab.kill(dead)
    lab.wait_for_gossip(dead, "failed")
    done = runbook(environment(lab, asked), "execute", PLAYBOOK, *QUICK)
    record, _ = read_run(folder_of(done.stdout))
    at = next(number for number, event in enumerate(record.events) if event["kind"] == "removal.requested")
    before, look = record.events[:at], next(e for e in reversed(record.events[:at]) if e["kind"] == "cluster.looked")

    playbook = parse_playbook(Path(PLAYBOOK).read_bytes(), PLAYBOOK, CATALOG)
    plan = bind_plan(playbook, "r", record.events[0]["params"])

    def named(*events: Mapping[str, Any]) -> set[str]:
        return ids(by_hand.by_hand_text(plan, fold_recorded(events), kind="nomad", folder="/r", at="now"))

    assert named(*before) == {lab.ids[dead]}
    alive = {**look, "verdicts": {**look["verdicts"], f"{dead}.global": "unknown"}}
    for changed in (alive, {**look, "leader": None}, {**look, "live_voters": 2}):
        assert named(*before, changed) == set()
    proven = next(number for number, event in enumerate(before) if event.get("step") == "quorum")
    assert named(*before[: proven + 1]) == set()
    assert named(*record.events) == set()


@pytest.mark.parametrize("odd", ["x\nBY_HAND\nrm -rf /", "$(reboot)", "a;b", "`id`"])
def test_what_a_server_calls_itself_is_no_command(odd: str, tmp_path: Path) -> None:
    """A name is one quoted word in one line; of an odd id or address no command is given."""
    named = ListedServer("id-1", odd, "10.0.0.5:4647")
    view = HandView("nomad", "http://10.0.0.1:4646", {"id-1": named}, frozenset({"id-1"}), looked=True)
    for one in remove_by_hand(view, "id-1"):
        assert one.shell.count("BY_HAND") == 1
        assert [line for line in one.shell if line.startswith("id=")] == [one.shell[1]]
        quoted = subprocess.run(
            ["/bin/sh", "-c", f'{one.shell[1]}\nprintf %s "$name"'], cwd=tmp_path, capture_output=True, text=True,
            timeout=10, check=False,
        )  # fmt: skip
        assert quoted.stdout == odd.replace("\n", "\\n")
    for server in (replace(named, id=odd), replace(named, address=odd)):
        view = HandView("nomad", "", {server.id: server}, frozenset({server.id}), looked=True)
        assert [one.shell for one in remove_by_hand(view, server.id)] == [()]


def test_a_page_that_cannot_be_written_ends_no_run(lab: SimulatedLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk takes the help for the worst case away, and nothing else."""

    def full(*_words: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(by_hand, "replace_file", full)
    dead, asked, *_ = followers(lab)
    lab.kill(dead)
    lab.wait_for_gossip(dead, "failed")
    done = runbook(environment(lab, asked), "execute", PLAYBOOK, *QUICK)
    assert done.returncode == 0, done.stdout
    assert not (folder_of(done.stdout) / "by-hand.md").exists()


def test_a_dry_run_and_a_run_that_only_reads_leave_no_page(lab: SimulatedLab) -> None:
    """There is nothing to finish."""
    for words in (("execute", PLAYBOOK, *QUICK, "--dry-run"), ("execute", "health-check")):
        done = runbook(environment(lab, lab.names[0]), *words)
        assert not (folder_of(done.stdout) / "by-hand.md").exists()


# -- every word of the language


def test_every_step_type_is_told(tmp_path: Path) -> None:
    """As its own command or in its words; a secret is a variable, whatever its value is."""
    where = ("--param", "url=http://10.0.0.9:8080", "--param", f"folder={tmp_path}")
    environment = {"HOME": str(tmp_path), "HOOK_TOKEN": "s3cr3t-s3cr3t"}
    done = runbook(environment, "print", EVERY_WORD, *where, "--kind", "consul")
    assert done.returncode == 0, done.stderr
    assert "s3cr3t" not in done.stdout
    for told in (
        '--header "X-Token: ${HOOK_TOKEN}" http://10.0.0.9:8080/flaky',
        "printf %s '<asked.body>' > answer.json",
        "sleep 0.1",
        "ssh -n -o BatchMode=yes -- host-a uptime",
        "export RACK=b",
        "Ask whoever is responsible, and go on only after a yes: Shall every word be tried?",
        "Again every 1s until result.alive \\>= result.quorum, for 10s at most.",
        "The playbook's secret hook is wanted in $HOOK\\_TOKEN (env: HOOK\\_TOKEN).",
    ):
        assert told in done.stdout, done.stdout
    can_be_read(done.stdout)


def test_what_is_typed_wrongly_is_told() -> None:
    """One thing is printed at a time."""
    for words in ((), (PLAYBOOK, "--run", "last"), ("--run", "last", "--live")):
        assert runbook({}, "print", *words).returncode == 2
