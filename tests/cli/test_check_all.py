"""`check --all`: a line for the fleet, a row for each cluster, worst first, and the exit code of the worst."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from runbook.cluster.inventory.model import InventoryCluster
from runbook.errors import Mark
from runbook.fleet.check import check_clusters, gather_checks, select
from runbook.inspection.check_look import LookedAt
from runbook.lab.simulated import SimulatedLab
from runbook.raft.diagnosis.health import ClusterHealth
from tests.command_line import Done, followers, runbook


def cluster(name: str, **labels: str) -> InventoryCluster:
    return InventoryCluster(name, "nomad", Mark("x", 1, 1), (), labels)


def health(level: int) -> LookedAt:
    return LookedAt(ClusterHealth(level, f"level {level}", 3, 3, 1, 0, 0, has_leader=True, findings=()))


# -- the fleet by itself


def test_clusters_are_chosen_by_all_their_labels() -> None:
    """Two labels are both meant, and none chooses all."""
    fleet = (cluster("a", env="prod", tier="1"), cluster("b", env="prod"), cluster("c"))
    assert [each.name for each in select(fleet, {})] == ["a", "b", "c"]
    assert [each.name for each in select(fleet, {"env": "prod"})] == ["a", "b"]
    assert [each.name for each in select(fleet, {"env": "prod", "tier": "1"})] == ["a"]


def test_the_worst_is_first_and_what_was_raised_is_told() -> None:
    """Critical, then what nobody could see, then warnings; what is equal stays in the order of the file."""
    fleet = [cluster(name) for name in ("fine", "ill", "broken", "warned", "fine too")]
    levels = {"fine": 0, "ill": 2, "warned": 1, "fine too": 0}

    def check(each: InventoryCluster) -> LookedAt:
        if each.name == "broken":
            raise ValueError("a sentence\nof two lines")
        return health(levels[each.name])

    checked, interrupted = gather_checks(check_clusters(fleet, check, timeout=5, at_once=2), fleet)
    assert [each.cluster.name for each in checked] == ["ill", "broken", "warned", "fine", "fine too"]
    assert [each.level for each in checked] == [2, 3, 1, 0, 0]
    assert checked[1].sentence == "a sentence of two lines"
    assert not interrupted


def test_no_more_are_asked_at_once_than_was_said() -> None:
    """And all of them are asked."""
    fleet = [cluster(str(number)) for number in range(40)]
    running: list[str] = []
    most: list[int] = []

    def check(each: InventoryCluster) -> LookedAt:
        running.append(each.name)
        most.append(len(running))
        time.sleep(0.01)
        running.remove(each.name)
        return health(0)

    assert len(list(check_clusters(fleet, check, timeout=5, at_once=4))) == 40
    assert 2 <= max(most) <= 4


def test_one_that_hangs_costs_its_own_deadline_and_no_more() -> None:
    """Ten hang and ninety answer, four at a time: three time-outs in all, not ten."""
    fleet = [cluster(str(number)) for number in range(100)]

    def check(each: InventoryCluster) -> LookedAt:
        if int(each.name) % 10 == 0:
            time.sleep(3)
        return health(0)

    began = time.monotonic()
    checked = list(check_clusters(fleet, check, timeout=0.2, at_once=4))
    assert sum(each.sentence == "the look did not finish within 0.2 s" for each in checked) == 10
    assert time.monotonic() - began < 2


def test_those_that_hang_make_room_for_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty hang, and four are looked at together: all of them cost one time-out, and not eight."""
    monkeypatch.setattr("runbook.fleet.check.SLOW", 0.05)
    fleet = [cluster(str(number)) for number in range(60)]

    def check(each: InventoryCluster) -> LookedAt:
        if int(each.name) % 2 == 0:
            time.sleep(30)
        return health(0)

    began = time.monotonic()
    checked = list(check_clusters(fleet, check, timeout=2, at_once=4))
    assert sum(each.level == 3 for each in checked) == 30
    assert time.monotonic() - began < 2 + 8 * 0.05 + 1


def test_only_so_many_that_hang_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each holds some threads, so beyond that number they keep their places, and all are checked nevertheless."""
    monkeypatch.setattr("runbook.fleet.check.SLOW", 0.01)
    monkeypatch.setattr("runbook.fleet.check.MOST_SLOW", 3)
    running, most = [0], [0]

    def check(_: InventoryCluster) -> LookedAt:
        running[0] += 1
        most[0] = max(most[0], running[0])
        time.sleep(0.2)
        running[0] -= 1
        return health(0)

    assert len(list(check_clusters([cluster(str(n)) for n in range(20)], check, timeout=5, at_once=2))) == 20
    assert 3 <= most[0] <= 5


def test_interrupted_it_keeps_what_was_seen() -> None:
    """Those that were not checked say so, and are UNKNOWN."""
    fleet = [cluster(name) for name in "abc"]

    def checks() -> Iterator[object]:
        yield from check_clusters(fleet[:1], lambda _: health(1), timeout=5, at_once=1)
        raise KeyboardInterrupt

    checked, interrupted = gather_checks(checks(), fleet)  # type: ignore[arg-type]
    assert interrupted
    assert [(each.cluster.name, each.level, each.sentence) for each in checked] == [
        ("b", 3, "not checked: interrupted"),
        ("c", 3, "not checked: interrupted"),
        ("a", 1, "level 1"),
    ]


# -- the command


def fleet_of(tmp_path: Path, entries: str) -> dict[str, str]:
    path = tmp_path / "clusters.yaml"
    path.write_text(f"inventory: 1\nclusters:\n{entries}")
    return {**os.environ, "RUNBOOK_INVENTORY": str(path)}


def lines_of(done: Done) -> list[str]:
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_a_fleet_with_a_dead_follower_and_a_cluster_that_nobody_reaches(tmp_path: Path) -> None:
    """One line that a monitor takes, and the rows that a person reads; the same for a machine."""
    with SimulatedLab(3, gossip_delay=0.3) as well, SimulatedLab(5, gossip_delay=0.3) as ill:
        well.wait_for_leader()
        ill.wait_for_leader()
        dead = followers(ill)[0]
        ill.kill(dead)
        ill.wait_for_gossip(dead, "failed")
        environment = fleet_of(
            tmp_path,
            f"  well: {{ kind: nomad, labels: {{ env: prod }}, addresses: ['{well.addresses[0]}'] }}\n"
            f"  ill: {{ kind: nomad, labels: {{ env: prod }}, addresses: {list(ill.addresses)} }}\n"
            "  gone: { kind: consul, addresses: ['http://127.0.0.1:9'] }\n",
        )
        textfile = tmp_path / "fleet.prom"
        text = runbook(environment, "check", "--all", "--textfile", str(textfile))
        labelled = runbook(environment, "check", "--label", "env=prod")
        limited = runbook(environment, "check", "--label", "env=prod", "--critical", "voters=4:")
        told = [json.loads(line) for line in lines_of(runbook(environment, "check", "--all", "--format", "json"))]
    families = list(text_string_to_metric_families(textfile.read_text()))
    status = next(family for family in families if family.name == "runbook_raft_status")
    assert {each.labels["cluster"]: each.value for each in status.samples} == {"gone": 3, "ill": 1, "well": 0}
    first, *rows = lines_of(text)
    assert first.startswith("RAFT UNKNOWN - 3 clusters: 1 unknown, 1 warning, 1 ok | clusters=3 critical=0 unknown=1 ")
    assert text.returncode == 3
    assert [row.split()[:2] for row in rows] == [["UNKNOWN", "gone"], ["WARNING", "ill"], ["OK", "well"]]
    assert "next: runbook execute remove-dead-peers --cluster ill" in rows[1]
    assert labelled.returncode == 1
    worst = lines_of(limited)[1].split(maxsplit=2)
    assert (limited.returncode, worst[:2]) == (2, ["CRITICAL", "well"])
    assert worst[2].startswith("voters is 3, not in 4: (critical)")
    assert lines_of(labelled)[0].startswith("RAFT WARNING - 2 clusters: 1 warning, 1 ok |")
    whole, gone, warned, fine = told
    assert (whole["status"], whole["clusters"], whole["unknown"], whole["interrupted"]) == ("UNKNOWN", 3, 1, False)
    assert (gone["cluster"], gone["kind"], gone["status"]) == ("gone", "consul", "UNKNOWN")
    assert (warned["cluster"], warned["labels"], warned["dead"]) == ("ill", {"env": "prod"}, 1)
    assert (fine["cluster"], fine["status"], fine["voters"]) == ("well", "OK", 3)


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("--label", "env=test"), 3, "has env=test; `runbook clusters` lists them"),
        (("--label", "env"), 3, "write --label NAME=VALUE"),
        (("--label", "env=a", "--label", "env=b"), 3, "two values of one label"),
        (("--all", "--cluster", "a"), 3, "leave --cluster"),
        (("--all", "--critical", "deaf=0"), 3, "write NAME=RANGE"),
        (("--all", "--notify", "x"), 3, "--notify takes a URL that begins with https:// or http://"),
        *(
            (("--all", word, f"http://{url}"), 3, f"{word} takes a URL such as https://host:port/path, with no user")
            for word in ("--notify", "--ping")
            for url in ("u:hunter2@h/x", "h:99999/x", "h:0/x", ":1/x", "h/a b", "h/x\n", "h/x?a=\x1b", "[::1/x")
        ),
        (("--all", "--format", "text"), 3, "leave --format text"),
        (("--all", "--inventory", "/nowhere.yaml"), 3, "RAFT UNKNOWN - the inventory /nowhere.yaml cannot be read"),
    ],
)
def test_what_chooses_nothing_is_told(tmp_path: Path, words: tuple[str, ...], code: int, sentence: str) -> None:
    """In one line that a monitor takes, or as a wrong word of the command line."""
    environment = fleet_of(tmp_path, "  a: { kind: nomad, addresses: [http://a] }\n")
    done = runbook(environment, "check", *words)
    assert done.returncode == code
    assert sentence in " ".join((done.stdout + done.stderr).split())
    assert "hunter2" not in done.stdout + done.stderr


@pytest.mark.parametrize("words", [("--all",), ("--cluster", "a")])
def test_the_faults_of_an_inventory_are_one_line_of_a_monitor(tmp_path: Path, words: tuple[str, ...]) -> None:
    """The first with its place, and how many more; `clusters check` tells all."""
    environment = fleet_of(tmp_path, "  a: { kind: nomda, addresses: [a], region: 3 }\n")
    done = runbook(environment, "check", *words)
    path = environment["RUNBOOK_INVENTORY"]
    assert (done.returncode, done.stdout.count("\n")) == (3, 1)
    assert done.stdout.startswith(f'RAFT UNKNOWN - {path}:3:14: "kind" of cluster "a" must be one of ')
    assert done.stdout.endswith("; and 2 more faults: see runbook clusters check\n")


def test_interrupted_it_prints_what_it_has(tmp_path: Path) -> None:
    """The process itself, by the signal of a Ctrl-C, while one cluster answers and the others hang."""
    with SimulatedLab(1) as lab:
        lab.wait_for_leader()
        slow = "".join(
            f"  slow{number}: {{ kind: nomad, addresses: ['http://127.0.0.1:{number + 1}'], "
            "credentials: { token: exec:sleep 25 } }\n"
            for number in range(3)
        )
        environment = fleet_of(tmp_path, f"  lab: {{ kind: nomad, addresses: ['{lab.addresses[0]}'] }}\n{slow}")
        command = [sys.executable, "-m", "runbook", "check", "--all", "--timeout", "20"]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
            until = time.monotonic() + 20
            while not any("/v1/operator/autopilot/health" in each.path for each in lab.requests):
                assert time.monotonic() < until
                time.sleep(0.05)
            time.sleep(1)
            process.send_signal(signal.SIGINT)
            told, _ = process.communicate(timeout=10)
    assert process.returncode == 3
    assert "interrupted, so not all were checked" in told
    assert "UNKNOWN   slow2  not checked: interrupted" in told
    assert any(line.split()[1] == "lab" and "voters answer" in line for line in told.splitlines()[1:])
