"""What every test may use. ``pytest --rewrite`` writes expected files anew; the diff is the review."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from runbook.lab.simulated import SimulatedLab
from tests.clock import CLOCK

AGENTS = ("bao", "consul", "etcd", "nomad", "redis")  # each a marker, and the name of the binary that lights it up
PROGRAMS = {"redis": "redis-server"}  # where that has another name
MUST_RUN_IN_CI = (
    "consul",
    "etcd",
    "redis",
)  # .ci/run installs them, so a skip there would be a promise broken in silence
SETTINGS = ("NOMAD_", "CONSUL_", "ETCDCTL_", "VAULT_", "BAO_", "RUNBOOK_", "XDG_STATE_HOME", "NO_COLOR", "OTEL_")
SUMMARY = "summary"  # the property of a test's report whose text is told at the end of the run

MOST_WORKERS = 10
PER_CORE = 4  # workers: tests wait for real servers and time-outs; but each worker loads every test, for 4 s
FREE_PORTS = range(10_000, 20_000)  # below those of practice clusters, and of outgoing connections
PLACES = range(32)  # for processes that run tests on this machine at once, of this run or of others
DOOR = 9_999  # who listens here on the network of a place has that place


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite", action="store_true", help="write the expected files anew instead of comparing")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """For ``-n auto``: more than there are cores, as tests on real servers wait most of the time."""
    return min(PER_CORE * len(os.sched_getaffinity(0)), MOST_WORKERS)


@pytest.fixture
def rewrite(request: pytest.FixtureRequest) -> bool:
    """Whether expected files are to be written anew."""
    return bool(request.config.getoption("--rewrite"))


@pytest.fixture(autouse=True)
def state_dir(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where this test's runs are kept. No test sees the developer's own cluster, token or runs."""
    for name in [name for name in os.environ if name.startswith(SETTINGS)]:
        monkeypatch.delenv(name)
    CLOCK.reset()
    folder = tmp_path / "state"
    monkeypatch.setenv("RUNBOOK_STATE_DIR", str(folder))
    return folder


@pytest.fixture(scope="session", autouse=True)
def heeded_signals() -> None:
    """Whoever runs the tests under ``nohup`` or in the background ignores signals, and so would every child of them."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def place_of_this_process() -> Iterator[None]:
    """Practice clusters have loopback networks that are this process's own: none may meet another's servers.

    And when a command in this process leaps over a wait, so do they.
    """
    place, door = _free_place()
    with door, pytest.MonkeyPatch.context() as patch:
        patch.setitem(SimulatedLab.__init__.__kwdefaults__, "octet", place + 1)
        patch.setattr("runbook.lab.agent_layout.OCTETS", range(40 + 6 * place, 46 + 6 * place))
        patch.setattr("runbook.lab.serving.now", CLOCK.monotonic)
        yield


def _free_place() -> tuple[int, socket.socket]:
    for place in PLACES:
        with contextlib.suppress(OSError):
            return place, socket.create_server((f"127.0.{place + 1}.1", DOOR))
    raise AssertionError(f"{len(PLACES)} processes run tests here already")


PATIENCE = 1.0  # seconds: a moment where nobody answers, and enough for who does on a busy machine


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> float:
    """What each of the adapter's time-outs is made, in seconds: a server that hangs costs a test no more."""
    for name in ("STALE_TIMEOUT", "READ_TIMEOUT", "CHANGE_TIMEOUT", "STATE_TIMEOUT"):
        monkeypatch.setattr(f"runbook.cluster.hashicorp.adapter.{name}", PATIENCE)
    monkeypatch.setattr("runbook.cluster.http.CONNECT_TIMEOUT", PATIENCE)
    return PATIENCE


def port_free_on(*hosts: str) -> int:
    """A TCP port that nobody listens on at any of these loopback addresses, as simulated servers share one port."""
    for port in random.sample(FREE_PORTS, 50):
        if all(_is_free(host, port) for host in hosts):
            return port
    raise AssertionError(f"no port is free on all of {', '.join(hosts)}")


def _is_free(host: str, port: int) -> bool:
    try:
        socket.create_server((host, port)).close()
    except OSError:
        return False
    return True


@pytest.fixture
def summarize(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """``summarize("12 worlds")`` is told at the end of the run: a number that a green line would hide."""
    return lambda text: request.node.user_properties.append((SUMMARY, text))


@pytest.fixture
def free_port() -> Callable[..., int]:
    """``free_port("127.0.0.1", "127.0.0.2")`` gives one port that is free on all the addresses named."""
    return port_free_on


def pytest_runtest_setup(item: pytest.Item) -> None:
    for agent in AGENTS:
        if item.get_closest_marker(agent) and not shutil.which(PROGRAMS.get(agent, agent)):
            pytest.skip(f"no {PROGRAMS.get(agent, agent)} on PATH")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped test of an agent that CI installs is a failure, whatever skipped it; by day a long one is not."""
    report = yield
    agent = next((agent for agent in MUST_RUN_IN_CI if item.get_closest_marker(agent)), None)
    for_the_night = item.get_closest_marker("long") and os.environ.get("CONTRACT") != "all"
    if report.skipped and os.environ.get("CI") == "true" and agent and not for_the_night:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
        report.outcome = "failed"
        report.longrepr = f"a test on a real {agent} must run in CI, yet it was skipped: {reason}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say how many tests met a real agent: a green line hides a skip."""
    for agent in AGENTS:
        counts = dict.fromkeys(("passed", "failed", "error", "skipped", "left for the night"), 0)
        for outcome in ("passed", "failed", "error", "skipped"):
            for report in terminalreporter.getreports(outcome):
                words = getattr(report, "keywords", ())
                if agent in words:
                    counts["left for the night" if outcome == "skipped" and "long" in words else outcome] += 1
        if any(counts.values()):
            told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
            terminalreporter.write_line(f"tests on real {agent} agents: {told}")
    for report in terminalreporter.getreports("passed"):
        for name, text in report.user_properties:
            if name == SUMMARY:
                terminalreporter.write_line(text)
