"""`runbook rehearse`: what it tells, how it ends, and that nothing of it touches anything."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from runbook.cluster.http import HttpClient, HttpSettings
from runbook.cluster.network import SystemNetwork
from runbook.doors import Purpose, check_file, check_program, shut_for_rehearsal
from runbook.errors import RunbookError
from runbook.lab.simulated import SimulatedLab
from runbook.steps.exchange import Request, exchange
from tests.command_line import PLAYBOOK, Done, environment, runbook

SCENARIO = (
    "scenario: 1\nname: mine\ncluster: {{ kind: nomad, servers: 5 }}\nfaults:\n  - {{ at: 0s, kill: s4 }}\n{more}"
)


def rehearse(tmp_path: Path, *words: str, playbook: str = PLAYBOOK) -> Done:
    return runbook({"HOME": str(tmp_path), "NOMAD_ADDR": "http://192.0.2.1:4646"}, "rehearse", playbook, *words)


def mine(tmp_path: Path, more: str = "") -> str:
    path = tmp_path / "mine.yaml"
    path.write_text(SCENARIO.format(more=more), encoding="utf-8")
    return str(path)


def test_it_tells_what_befalls_the_cluster_what_is_done_and_what_came(tmp_path: Path) -> None:
    done = rehearse(tmp_path, "--scenario", "two-dead")
    assert done.returncode == 0
    assert "60 s before the start: kill s4 s5" in done.stderr
    assert "agreed to by" in done.stderr
    assert "as a rehearsal presumes" in done.stderr
    assert "as expected      removed: s4 s5" in done.stdout
    assert re.search(r"^took +1 min 4", done.stdout, re.MULTILINE), done.stdout
    left = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert left == ["practice.json"]  # no record, no lock, no cool-down


def test_what_does_not_come_as_expected_ends_with_1(tmp_path: Path) -> None:
    """For a person, a machine and a CI alike."""
    path = mine(tmp_path, "expect: { exit: 3, removed: [s5], leader: false, outcome: completed }\n")
    done = rehearse(tmp_path, "--scenario", path)
    assert done.returncode == 1
    assert "NOT AS EXPECTED  exit code: 0, expected 3" in done.stdout
    assert "as expected      outcome: completed" in done.stdout
    told = json.loads(rehearse(tmp_path, "--scenario", path, "--format", "json").stdout)
    assert [row["holds"] for row in told["expectations"]] == [False, True, False, False]
    done = rehearse(tmp_path, "--scenario", path, "--format", "junit")
    suite = ET.fromstring(done.stdout)  # noqa: S314 - our own
    assert (done.returncode, suite.get("tests"), suite.get("failures"), done.stderr) == (1, "4", "3", "")
    assert [case.get("name") for case in suite if case.find("failure") is not None] == [
        "exit code",
        "removed",
        "leader",
    ]


def test_a_rehearsal_is_the_same_each_time(tmp_path: Path) -> None:
    """What failed in a CI fails again on a desk."""
    first, second = (rehearse(tmp_path, "--scenario", "leader-dies-midway") for _ in range(2))
    assert _timeless(first) == _timeless(second)


def _timeless(done: Done) -> str:
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "then", done.stdout + done.stderr)


def test_a_param_that_is_typed_wins_over_the_scenarios(tmp_path: Path) -> None:
    path = mine(tmp_path, "params: { max_removals: 1, min_voters: 5 }\nexpect: { code: BelowMinimumVoters }\n")
    assert rehearse(tmp_path, "--scenario", path, "--quiet").returncode == 0
    assert rehearse(tmp_path, "--scenario", path, "--quiet", "--param", "min_voters=3").returncode == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--scenario", "two-ded"), 'no scenario "two-ded" is shipped'),
        (("--scenario", "./nothing.yaml"), "nothing.yaml: No such file or directory"),
        ((), "either --scenario or --from-live"),
        (("--scenario", "two-dead", "--from-live"), "either --scenario or --from-live"),
        (("--scenario", "two-dead", "--kill", "s1"), "go with --from-live"),
        (("--scenario", "two-dead", "--param", "nonsense=1"), "nonsense"),
        (("--scenario", "two-dead", "--speed", "0"), "--speed"),
    ],
)
def test_bad_input_ends_with_2_before_anything_is_played(words: tuple[str, ...], told: str, tmp_path: Path) -> None:
    done = rehearse(tmp_path, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr


def test_at_a_speed_it_plays_in_real_time(tmp_path: Path) -> None:
    """The seconds that pass are those of the run; what was before it is leapt."""
    slept: list[float] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("runbook.cli.rehearse.time.sleep", slept.append)
        assert rehearse(tmp_path, "--scenario", "healthy", "--speed", "2", "--quiet").returncode == 0
        took, slept[:] = sum(slept), []
        assert rehearse(tmp_path, "--scenario", "healthy", "--quiet", "--format", "json").returncode == 0
    told = json.loads(rehearse(tmp_path, "--scenario", "healthy", "--quiet", "--format", "json").stdout)
    assert took == pytest.approx(told["seconds"] / 2, abs=0.1)
    assert slept == []


FOREIGN = {
    "a program": "uses: command.run\n    with: { argv: [touch, /nowhere/at/all] }",
    "a request": "uses: http.request\n    with: { url: http://192.0.2.1/ }",
    "a port": "uses: wait.for_port\n    with: { host: 192.0.2.1, port: 80, within: 1s }",
    "a file": "uses: file.write\n    with: { path: /etc/runbook-rehearsed, content: x }",
}


@pytest.mark.parametrize("what", FOREIGN)
def test_nothing_leaves_the_process(what: str, tmp_path: Path) -> None:
    """A step that would is failed at the door, in words."""
    playbook = tmp_path / "foreign.yaml"
    head = "runbook: 1\nname: foreign\nguards: { cooldown: 1h }\nsteps:\n  - id: one\n"
    playbook.write_text(f"{head}    {FOREIGN[what]}\n", encoding="utf-8")
    done = rehearse(tmp_path, "--scenario", "healthy", playbook=str(playbook))
    assert "a rehearsal " in done.stdout, done
    assert "FAILED at step one" in done.stdout


def test_the_doors_are_shut() -> None:
    """Of the adapters too, whoever forgets that it is a rehearsal; and they open again."""
    tries = (
        lambda: HttpClient("http://127.0.0.1:1", HttpSettings()).ask("GET", "/", timeout=1.0),
        lambda: SystemNetwork(HttpSettings()).probe("127.0.0.1:1"),
        lambda: exchange(Request("GET", "http://127.0.0.1:1/", {}, reads=True), 1.0),
        lambda: check_program(["true"], Purpose.LOOK),
        lambda: check_file(Path("/nowhere/at/all")),
    )
    with shut_for_rehearsal(Path.cwd()):
        for door in tries:
            with pytest.raises(RunbookError, match="a rehearsal "):
                door()
    check_program(["true"], Purpose.LOOK)


# -- from live


def test_from_a_live_cluster_its_servers_are_played_and_it_is_only_looked_at(tmp_path: Path) -> None:
    with SimulatedLab(5, gossip_delay=2.0, version="1.3.9", min_quorum=3) as lab:
        lab.wait_for_leader()
        own = environment(lab, "s1", HOME=str(tmp_path))
        words = ("rehearse", PLAYBOOK, "--from-live", "--format", "json")
        done = runbook(own, *words, "--kill", "s2")
        told = json.loads(done.stdout)
        assert (done.returncode, told["removed"], told["voters"]) == (0, ["s2"], ["s1", "s3", "s4", "s5"])
        assert told["leader"] == lab.leader()
        done = runbook(own, *words, "--kill", "s2", "--kill", "s3", "--freeze", "s4")
        assert (done.returncode, json.loads(done.stdout)["diagnoses"]) == (4, ["QuorumLostTransient"])
        assert not [request for request in lab.requests if request.changes]
        for wrong in (("--kill", "s9"), ("--kill", "s2", "--kill", "s2"), ("--kill", "s2", "--freeze", "s2")):
            done = runbook(own, *words, *wrong)
            assert (done.returncode, done.stdout) == (2, ""), done
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["practice.json"]


def test_a_server_that_is_dead_already_is_dead_on_the_stage(tmp_path: Path) -> None:
    with SimulatedLab(5, gossip_delay=1.0) as lab:
        lab.wait_for_leader()
        dead = next(name for name in lab.names if name != lab.leader())
        lab.kill(dead)
        lab.wait_for_gossip(dead, "failed")
        asked = str(lab.leader())
        done = runbook(environment(lab, asked, HOME=str(tmp_path)), "rehearse", PLAYBOOK, "--from-live")
    assert f"assumed: {dead}.global does not answer now, and is taken for dead" in done.stderr
    assert (done.returncode, f"removed            {dead}.global" in done.stdout) == (0, True), done
