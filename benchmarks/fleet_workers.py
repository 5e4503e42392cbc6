"""The rows of ``make bench-fleet`` for workers: what a broker between adds to the check of each cluster.

Home, the broker, the workers and the clusters are all on this machine, so more workers than cores add nothing here.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from statistics import median

from benchmarks.bench import Cost, bare_environment, run, say
from benchmarks.fleet import CLUSTERS, RUNS, check_all, fleet
from benchmarks.installed import Installation, installation

WORKERS = (1, 2, 4)
MOST_BEYOND = 5.0  # milliseconds for each cluster
READY_WITHIN = 60.0  # seconds


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    """Its URL."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    words = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as server:
        yield f"redis://127.0.0.1:{port}/0"
        server.terminate()


@contextmanager
def worker(place: Installation, environment: dict[str, str], number: int) -> Iterator[None]:
    """One that is ready."""
    log = place.folder / f"worker-{number}.log"
    with log.open("wb") as said:
        words = [place.runbook, "worker", "--region", "bench"]
        process = subprocess.Popen(words, env=environment, cwd=place.folder, stdout=said, stderr=said)
    until = time.monotonic() + READY_WITHIN
    while b" ready." not in log.read_bytes():
        assert process.poll() is None, log.read_text(encoding="utf-8")
        assert time.monotonic() < until
        time.sleep(0.1)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def check_via_workers(place: Installation, environment: dict[str, str]) -> Cost:
    return run([place.runbook, "check", "--all", "--via", "celery"], place.folder, environment)


def main() -> None:
    if shutil.which("redis-server") is None:
        print("no rows for workers: there is no redis-server on PATH")
        return
    with installation(extra="fleet") as place, fleet(place, CLUSTERS), redis(place.folder) as url:
        inventory = place.folder / "clusters.yaml"
        text = inventory.read_text(encoding="utf-8")
        inventory.write_text(re.sub(r" }$", ", labels: { region: bench } }", text, flags=re.MULTILINE))
        state = str(place.folder / "state")
        environment = bare_environment(RUNBOOK_INVENTORY=str(inventory), RUNBOOK_STATE_DIR=state, RUNBOOK_BROKER=url)
        near = median(check_all(place).seconds for _ in range(RUNS))
        for count in WORKERS:
            with ExitStack() as stack:
                for number in range(count):
                    stack.enter_context(worker(place, environment, number))
                far = median(check_via_workers(place, environment).seconds for _ in range(RUNS))
            say(f"check --all, {CLUSTERS:,} by {count} x 4 over Redis / by one here", far, near, "s", 2.0)
            say("... beyond that, a cluster", (far - near) * 1000 / CLUSTERS, 0.0, "ms", MOST_BEYOND, ratio=False)


if __name__ == "__main__":
    main()
