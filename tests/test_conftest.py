"""The promises of conftest.py, which all other tests lean on."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runbook.lab.simulated import SimulatedLab
from tests.clock import CLOCK

SKIPPED = """
import pytest

@pytest.mark.consul
def test_contract():
    pytest.skip("the agent did not start")
"""


NUMBERS = """
import os
import time
from pathlib import Path

import pytest
from runbook.lab import agent_layout
from runbook.lab.simulated import SimulatedLab

@pytest.mark.parametrize("number", range(4))
def test_of_numbers(number, summarize, free_port):
    Path(f"{os.getpid()}.here").touch()  # who is gone again lets its place go, so each waits for the other
    for _ in range(200):
        if len(list(Path().glob("*.here"))) == 2:
            break
        time.sleep(0.1)
    summarize(f"number {number}")
    summarize(f"places of {os.getpid()}: {agent_layout.OCTETS} {SimulatedLab().settings.host('s1')}")
"""


def pytest_in(folder: Path, ci: str = "", text: str = SKIPPED, *options: str) -> subprocess.CompletedProcess[str]:
    """Run these tests under our own conftest.py, as CI or as a developer."""
    (folder / "tests").mkdir()
    for name in ("__init__.py", "conftest.py", "clock.py"):
        shutil.copy(Path(__file__).parent / name, folder / "tests")
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    consul\n    nomad\n")
    (folder / "tests" / "test_some.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", *options]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")} | {"CI": ci}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_skipped_consul_test_fails_in_ci(tmp_path: Path) -> None:
    """In CI a real Consul is always there, so a skip means that a promise was not checked."""
    result = pytest_in(tmp_path, ci="true")
    assert result.returncode == 1
    assert "must run in CI" in result.stdout


def test_a_skipped_consul_test_passes_on_a_developers_machine(tmp_path: Path) -> None:
    """Nobody needs Consul to work on the project, and the closing lines tell what was not run."""
    result = pytest_in(tmp_path, ci="")
    assert result.returncode == 0
    assert "tests on real consul agents: 1 skipped" in result.stdout


def test_what_tests_count_is_told_at_the_end_whichever_process_counted_it(tmp_path: Path) -> None:
    """And no two processes have their practice clusters at the same places."""
    result = pytest_in(tmp_path, "", NUMBERS, "-n", "2", "--dist", "each")
    assert result.returncode == 0, result.stdout
    told = result.stdout.splitlines()
    assert [told.count(f"number {number}") for number in range(4)] == [2] * 4
    places = {line.partition(": ")[2] for line in told if line.startswith("places of")}
    assert len(places) == 2


@pytest.fixture(scope="module")
def developers_settings() -> Iterator[None]:
    """What a developer may have set; of the module's scope, so that it is there before the test's own fixtures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOMAD_TOKEN", "of-a-real-cluster")
        yield


def test_no_test_sees_a_real_cluster(developers_settings: None, state_dir: Path, tmp_path: Path) -> None:
    """A token in the developer's own environment must not reach a test, and runs are kept apart."""
    assert not [name for name in os.environ if name.startswith(("NOMAD_", "CONSUL_"))]
    assert os.environ["RUNBOOK_STATE_DIR"] == str(state_dir)
    assert state_dir.is_relative_to(tmp_path)


def test_a_free_port_is_free_on_every_address_named(free_port: Callable[..., int]) -> None:
    """Simulated servers share a port and differ by address."""
    hosts = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
    port = free_port(*hosts)
    for host in hosts:
        socket.create_server((host, port)).close()


def test_who_sleeps_leaps_and_the_practice_cluster_with_them() -> None:
    """A whole minute, in which gossip makes up its mind, takes no time; and all that is asked afterwards is later."""
    with SimulatedLab(3, gossip_delay=40) as lab:
        lab.kill(dead := next(name for name in lab.names if name != lab.wait_for_leader()))
        began, told = time.monotonic(), CLOCK.now()
        CLOCK.sleep(60)
        lab.wait_for_gossip(dead, "failed", timeout=1)
        assert time.monotonic() - began < 10
        assert CLOCK.now() > told


def test_only_the_main_thread_leaps() -> None:
    """Else a thread that does something every second would do it a thousand times."""
    slept: list[float] = []

    def sleeper() -> None:
        began = CLOCK.monotonic()
        CLOCK.sleep(5)
        slept.append(CLOCK.monotonic() - began)

    thread = threading.Thread(target=sleeper)
    thread.start()
    thread.join(0.1)
    assert thread.is_alive()
    CLOCK.sleep(6)
    thread.join(5)
    assert [5 <= seconds < 15 for seconds in slept] == [True]
