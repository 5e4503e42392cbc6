"""``make bench-fleet``: what a look at many clusters costs, against a bare pool of threads with the same requests.

Wall and processor time of the caller alone; the clusters are served by another process on the same machine, which both
sides wait for. As in ``bench``, the sides take turns, and what is measured is an installed package.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

from benchmarks.bench import Cost, ask, bare_environment, run, say, stub
from benchmarks.installed import Installation, installation

CLUSTERS = 1_000
MANY = 10_000
HUNG = 100
AT_ONCE = 16  # what check takes where nobody says another number
RUNS = 3
TIMEOUT = 9.0


@contextmanager
def fleet(place: Installation, clusters: int, hung: int = 0) -> Iterator[str]:
    """Serves so many clusters, with their inventory in the folder of the installation, and gives the port."""
    command = [place.python, "-m", "benchmarks.fleet_stub", str(clusters), str(hung)]
    with subprocess.Popen(command, cwd=place.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        yield process.stdout.readline().decode().strip()


def check_all(place: Installation, code: int = 0) -> Cost:
    """``runbook check --all`` over the inventory of the folder."""
    inventory, state = str(place.folder / "clusters.yaml"), str(place.folder / "state")
    environment = bare_environment(RUNBOOK_INVENTORY=inventory, RUNBOOK_STATE_DIR=state)
    return run([place.runbook, "check", "--all"], place.folder, environment, expected=(code,))


def calls_of_a_check(place: Installation) -> list[list[str]]:
    """What a check sends to a healthy cluster of five, by the servers' numbers."""
    with stub(place, servers=5, dead=0, hung=0) as url:
        environment = bare_environment(NOMAD_ADDR=url, RUNBOOK_STATE_DIR=str(place.folder / "state"))
        run([place.runbook, "check"], place.folder, environment)
        recorded = json.loads(ask(f"{url}/calls", "GET"))
    return [[method, host[-1], path] for method, host, path in recorded]


def bench_pool(place: Installation) -> Cost:
    """Ours against the bare pool; gives what one of ours took."""
    calls = place.folder / "calls.json"
    calls.write_text(json.dumps(calls_of_a_check(place)), encoding="utf-8")
    with fleet(place, CLUSTERS) as port:
        floor = [place.python, "-m", "benchmarks.fleet_floor", str(calls), str(CLUSTERS), port, str(AT_ONCE)]
        turns = [(check_all(place), run(floor, place.folder, bare_environment())) for _ in range(RUNS)]
    ours, theirs = zip(*turns, strict=True)
    what = f"check --all, {CLUSTERS:,} x {len(json.loads(calls.read_text()))} calls / a bare pool"
    say(what, median(c.seconds for c in ours), median(c.seconds for c in theirs), "s", 1.5)
    say("... processor time", median(c.processor for c in ours), median(c.processor for c in theirs), "s", 1.5)
    memory = max(c.megabytes for c in ours)
    say("... peak memory", memory, max(c.megabytes for c in theirs), "MB", 150, ratio=False)
    return Cost(median(c.seconds for c in ours), median(c.processor for c in ours), memory)


def bench_many(place: Installation, few: Cost) -> None:
    """Ten times the clusters are to take ten times as long."""
    with fleet(place, MANY):
        many = check_all(place)
    times = MANY / CLUSTERS
    say(f"a cluster of {MANY:,} / of {CLUSTERS:,}", many.seconds / times, few.seconds, "s", 1.2)
    say("... processor time", many.processor / times, few.processor, "s", 1.2)
    say("... peak memory", many.megabytes, few.megabytes, "MB", 150, ratio=False)


def bench_hung(place: Installation, whole: Cost) -> None:
    """Those that hang are to cost one time-out in all, with a fifth more, and no more than that."""
    with fleet(place, CLUSTERS, HUNG):
        hung = check_all(place, code=3)
    what = f"{HUNG} of {CLUSTERS:,} hang: beyond the others / a time-out"
    say(what, hung.seconds - whole.seconds * (CLUSTERS - HUNG) / CLUSTERS, TIMEOUT, "s", 1.2)
    say("... peak memory", hung.megabytes, whole.megabytes, "MB", 150, ratio=False)


def main() -> None:
    print(f"{'what':<48} {'ours':>12} {'theirs':>12} {'ratio':>8}  {'aim':<8}")
    with installation() as place:
        whole = bench_pool(place)
        bench_hung(place, whole)
        bench_many(place, whole)


if __name__ == "__main__":
    main()
