"""What a cut that heals does to a cluster whose fewer were recovered meanwhile: what a person's word loses, and what a
fence keeps. Real Consul in two network namespaces (see test_partition).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runbook.raft.recovery_shell import UNKNOWN_FOLDER
from tests.contract.machines import ip
from tests.contract.test_partition import FEW, LINK, MANY, NET, SIDE, Split, plan, split, wait_for
from tests.contract.test_recover_plan import SUDO, parts, paste

__all__ = ["split"]  # a fixture
pytestmark = [pytest.mark.long, pytest.mark.parametrize("split", ["consul"], indirect=True)]
HEALED_WITHIN = 90.0  # seconds
SYSTEMCTL = """#!{python}
import os, signal, subprocess, sys, time
from pathlib import Path
verb, pidfile = sys.argv[1], Path({pidfile!r})
pid = int(pidfile.read_text())
stat = Path(f"/proc/{{pid}}/stat")
runs = stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"
if verb == "is-active":
    sys.exit(0 if runs else 3)
if verb in ("stop", "disable") and runs:
    os.kill(pid, signal.SIGKILL)
    time.sleep(1)
if verb == "start":
    log = open({log!r}, "ab")
    started = subprocess.Popen({command!r}, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    pidfile.write_text(str(started.pid))
"""


@pytest.fixture
def shells(split: Split, tmp_path: Path) -> Iterator[dict[str, str]]:
    """A PATH for the shell of each host; whatever was started there is ended."""
    paths = {}
    for name, side in SIDE.items():
        (folder := tmp_path / f"bin-{name}").mkdir()
        (pidfile := folder / "pid").write_text(str(pid_of(split, name)))
        agent = split.layout.command(split.folder / f"{name}.json")
        command = ["ip", "netns", "exec", split.spaces[side], *agent]
        log = str(split.folder / f"{name}.log")
        systemctl = SYSTEMCTL.format(python=sys.executable, pidfile=str(pidfile), log=log, command=command)
        for program, body in (("systemctl", systemctl), ("sudo", SUDO)):
            (folder / program).write_text(body, encoding="utf-8")
            (folder / program).chmod(0o700)
        paths[name] = f"{folder}:{os.environ['PATH']}"
    yield paths
    for space in split.spaces.values():
        pids = subprocess.run(["ip", "netns", "pids", space], capture_output=True, text=True, timeout=30, check=True)
        for pid in map(int, pids.stdout.split()):
            os.kill(pid, 9)


def pid_of(split: Split, name: str) -> int:
    """Of the agent that reads this server's file."""
    pattern = f"config-file={split.folder / name}.json"
    found = subprocess.run(["pgrep", "-f", pattern], capture_output=True, text=True, timeout=30, check=True)
    return int(found.stdout.split()[0])


def kv(split: Split, name: str, key: str, value: str = "") -> str:
    """Written where a value is given; else what the leader has, whichever server is asked."""
    url = f"{split.layout.address(name)}/v1/kv/{key}"
    words = ["--request", "PUT", "--data", value, url] if value else [f"{url}?raw"]
    command = ["ip", "netns", "exec", split.spaces[SIDE[name]], "curl", "--silent", "--max-time", "10", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout


def until(holds: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + HEALED_WITHIN
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(1)


def heal(split: Split) -> None:
    ip("-n", split.spaces[MANY], "route", "add", LINK[FEW], "dev", "cable", "src", LINK[MANY])
    ip("-n", split.spaces[MANY], "route", "add", f"{NET[FEW]}.0/24", "via", LINK[FEW], "dev", "cable")


def named_plan(split: Split) -> str:
    """As somebody who says of each of the many that it is lost, once nothing shows the contrary any more."""
    made = plan(split, FEW, "s3", "s4", "s5")
    end = time.monotonic() + HEALED_WITHIN
    while made.returncode != 0:
        assert time.monotonic() < end, made.stderr
        made = plan(split, FEW, "s3", "s4", "s5")
    told = " ".join(line.removeprefix("# ").strip() for line in made.stdout.splitlines())
    assert told.count("IF IT STILL RUNS, WHAT IT ACCEPTED SINCE THE CUT WILL BE LOST WITHOUT A WORD") == 3
    return made.stdout


def do(folder: Path, text: str, shells: dict[str, str], *names: str, fences: bool) -> None:
    """The parts for these hosts: those that fence, or those that recover."""
    for host, commands in parts(text):
        if host in names and ("FENCE" in commands) is fences:
            commands = commands.replace(UNKNOWN_FOLDER, str(folder / f"{host}.data"))  # which a person fills in
            done = paste(commands, shells[host])
            assert done.returncode == 0, f"{host}: {commands}\n{done.stdout}{done.stderr}"


def listed(split: Split, name: str) -> int:
    command = ["ip", "netns", "exec", split.spaces[SIDE[name]], "curl", "--silent", "--max-time", "10",
               f"{split.layout.address(name)}/v1/operator/raft/configuration?stale"]  # fmt: skip
    told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout
    return len(json.loads(told)["Servers"]) if told.startswith("{") else 0


def test_by_a_persons_word_what_the_living_majority_accepted_is_lost_without_a_word(
    split: Split, shells: dict[str, str]
) -> None:
    """As the sentence in the plan says, which a person has read three times."""
    wait_for(split, FEW, "Healthy")
    kv(split, "s3", "before", "kept")
    until(lambda: kv(split, "s1", "before") == "kept", "the key is everywhere")
    split.cut()
    until(lambda: kv(split, "s3", "of-the-many", "accepted") == "true", "the many go on")
    text = named_plan(split)
    do(split.folder, text, shells, "s1", "s2", fences=False)
    until(lambda: kv(split, "s1", "of-the-few", "accepted") == "true", "the few have a leader")
    heal(split)
    until(lambda: kv(split, "s3", "of-the-few") == "accepted", "the few have won")
    assert kv(split, "s3", "of-the-many") == "", "it was acknowledged to a client, and is gone"
    assert kv(split, "s3", "before") == "kept"


def test_behind_a_fence_nothing_is_lost(split: Split, shells: dict[str, str]) -> None:
    """The many are stopped, disabled, and their Raft folder is moved aside, before the few go on: they join anew."""
    wait_for(split, FEW, "Healthy")
    kv(split, "s3", "before", "kept")
    until(lambda: kv(split, "s1", "before") == "kept", "the key is everywhere")
    split.cut()
    text = named_plan(split)
    do(split.folder, text, shells, "s3", "s4", "s5", fences=True)
    do(split.folder, text, shells, "s1", "s2", fences=False)
    until(lambda: kv(split, "s1", "of-the-few", "accepted") == "true", "the few have a leader")
    heal(split)
    for name in ("s3", "s4", "s5"):
        paste("systemctl start consul", shells[name])
    until(lambda: listed(split, "s1") == len(SIDE), "all have joined again")
    until(lambda: kv(split, "s5", "of-the-few") == "accepted", "and have copied all")
    assert kv(split, "s5", "before") == "kept"
