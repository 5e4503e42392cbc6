"""``make bench``: what the tool costs, as ratios taken in one run, because machines differ and ratios less so.

Each line says what was done, our number, the number it is held against, the ratio, the aim, and whether it was met.
Medians; the two sides of a ratio take turns, so that a busy moment hits both. What is measured is an installed package
and not this tree (see ``installed``), and both sides of a ratio are run by its interpreter.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks import engine, language
from benchmarks.installed import ROOT, Installation, installation
from runbook.cluster.hashicorp.adapter import STALE_TIMEOUT

PLAYBOOK = str(ROOT / "playbooks" / "remove-dead-peers.yaml")
SHORTEST = ["confirm_for=0s", "looks=2", "watch_for=0s"]

START_RUNS = 21
RECOVERY_RUNS = 9
LOOK_RUNS = 3


@dataclass(frozen=True)
class Cost:
    """What one process took: seconds on the wall and of the processor, and its peak resident memory in megabytes."""

    seconds: float
    processor: float
    megabytes: float


def run(command: list[str], folder: Path, environment: dict[str, str], expected: tuple[int, ...] = (0,)) -> Cost:
    """Run to the end and measure. A run that ends otherwise than expected has no number, so it stops everything."""
    with tempfile.TemporaryFile() as output:
        begun = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in expected:
            output.seek(0)
            sys.exit(f"{' '.join(command)}\nended with {process.returncode}:\n{output.read().decode(errors='replace')}")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def say(what: str, ours: float, theirs: float, unit: str, aim: float, *, ratio: bool = True) -> None:
    """One line. Without ``ratio`` the aim bounds our own number."""
    judged = ours / theirs if ratio else ours
    bound = f"< {aim:g}{'x' if ratio else ' ' + unit}"
    verdict = "ok" if judged < aim else "over"
    digits = 0 if unit == "MB" else 3
    numbers = f"{ours:9.{digits}f} {unit:<2} {theirs:9.{digits}f} {unit:<2} {ours / theirs if theirs else 0.0:7.2f}x"
    print(f"{what:<48} {numbers}  {bound:<8}  {verdict}", flush=True)


def bare_environment(**more: str) -> dict[str, str]:
    """No settings of the person who measures; the state is a new folder for each run."""
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **more}


def bench_start(what: str, place: Installation, words: list[str], aim: float) -> None:
    """Start-up against that of the library which reads the command line: what it takes before a word is our own.

    Processor time, as nothing is waited for: what others do on this machine is not counted in.
    """
    environment = bare_environment()
    sides = ([place.runbook, *words], [place.python, "-c", "import click"])
    pairs = [[run(side, place.folder, environment).processor for side in sides] for _ in range(START_RUNS + 1)]
    ours, theirs = zip(*pairs[1:], strict=True)  # the first one fills the caches
    say(what, median(ours), median(theirs), "s", aim)


@contextmanager
def stub(place: Installation, servers: int, dead: int, hung: int) -> Iterator[str]:
    """The URL of a stub cluster's first server; the stub ends when its standard input does."""
    command = [place.python, "-m", "benchmarks.stub", str(servers), str(dead), str(hung)]
    with subprocess.Popen(command, cwd=place.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        yield json.loads(process.stdout.readline())["url"]


def ask(url: str, method: str) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=10) as reply:  # noqa: S310
        return bytes(reply.read())


def recover(place: Installation, url: str, page: str = "no-page") -> Cost:
    """One whole ``runbook execute``, with a state folder of its own, against a cluster with one dead server of five.

    The plain script sleeps nowhere, so neither does this one: see ``without_waits``.
    """
    ask(f"{url}/reset", "POST")
    params = [part for param in SHORTEST for part in ("--param", param)]
    command = [place.python, "-m", "benchmarks.without_waits", page, "execute", PLAYBOOK, "--yes", *params]
    with tempfile.TemporaryDirectory(dir=place.folder) as state:
        return run(command, place.folder, bare_environment(NOMAD_ADDR=url, RUNBOOK_STATE_DIR=state))


def replay(place: Installation, url: str, calls: Path) -> Cost:
    ask(f"{url}/reset", "POST")
    port = url.rpartition(":")[2]
    command = [place.python, "-m", "benchmarks.floor", str(calls), PLAYBOOK, str(place.folder), port]
    return run(command, place.folder, bare_environment())


def bench_recovery(place: Installation) -> None:
    with stub(place, servers=5, dead=1, hung=0) as url:
        calls = place.folder / "calls.json"
        recover(place, url)
        calls.write_bytes(ask(f"{url}/calls", "GET"))
        recorded = json.loads(calls.read_text())
        assert sum(call[0] == "DELETE" for call in recorded) == 1, "the run removed nothing"
        replay(place, url, calls)
        turns = [
            (recover(place, url), replay(place, url, calls), recover(place, url, "page")) for _ in range(RECOVERY_RUNS)
        ]
    ours, theirs, whole = zip(*turns, strict=True)
    what = f"execute without its waits, {len(recorded)} calls / a script"
    say(what, median(c.seconds for c in ours), median(c.seconds for c in theirs), "s", 1.45)
    say("... its processor time", median(c.processor for c in ours), median(c.processor for c in theirs), "s", 1.45)
    page = [with_page.seconds - without.seconds for without, _, with_page in turns]
    say("... and report.html, when it is over", median(page), 0.0, "s", 0.1, ratio=False)
    say("... its peak memory", max(c.megabytes for c in whole), max(c.megabytes for c in theirs), "MB", 60, ratio=False)


def bench_hung_look(place: Installation) -> None:
    """Five servers, of which two accept and never answer: asked in parallel, they cost one time-out and not two."""
    with stub(place, servers=5, dead=0, hung=2) as url:
        environment = bare_environment(NOMAD_ADDR=url)
        costs = [run([place.runbook, "check"], place.folder, environment, expected=(0, 1, 2)) for _ in range(LOOK_RUNS)]
    say("one look, 2 of 5 hung / one time-out", median(c.seconds for c in costs), STALE_TIMEOUT, "s", 1.5)


def main() -> None:
    print(f"{'what':<48} {'ours':>12} {'theirs':>12} {'ratio':>8}  {'aim':<8}")
    with installation() as place:
        bench_start("runbook --help / import click", place, ["--help"], 1.3)
        bench_start("runbook validate / import click", place, ["validate", PLAYBOOK], 2)
        for line in (*language.lines(place.runbook), *engine.lines(place.python)):
            say(line.what, line.ours, line.theirs, line.unit, line.aim, ratio=line.ratio)
        bench_recovery(place)
        bench_hung_look(place)


if __name__ == "__main__":
    main()
