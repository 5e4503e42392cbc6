"""A frozen follower of real servers with full listen queues: its ports are silent, gossip calls it failed, it lives.

This took out a living server once. The same server, really killed, is removed.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from runbook.lab.agents import AgentLab
from tests.contract.test_recovery import changes_received, execute, followers, lab, labs

__all__ = ["lab"]  # the fixture
OVER = 64  # connections more than the queue holds; the kernel lets in one or two beyond it
FULL_AFTER = 0.5  # seconds for which no further connection opens


def queue_length() -> int:
    return int(Path("/proc/sys/net/core/somaxconn").read_text(encoding="ascii"))


@contextmanager
def full_queues(host: str, ports: list[int]) -> Iterator[None]:
    """As reconnecting clients and health checks fill them by themselves: connections that nobody accepts."""
    with ExitStack() as lines:
        for port in ports:
            for _ in range(queue_length() + OVER):
                line = lines.enter_context(socket.socket())
                line.setblocking(False)
                line.connect_ex((host, port))
        time.sleep(FULL_AFTER)
        assert all(is_silent(host, port) for port in ports), "the queues are not full"
        yield


def is_silent(host: str, port: int) -> bool:
    with socket.socket() as line, selectors.DefaultSelector() as ready:
        line.setblocking(False)
        line.connect_ex((host, port))
        ready.register(line, selectors.EVENT_WRITE)
        return not ready.select(FULL_AFTER)


@pytest.fixture
def many_handles() -> Iterator[None]:
    """Three queues hold more connections than a process may usually have open."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 3 * (queue_length() + OVER) + 1000
    if hard < wanted:
        pytest.skip(f"this process may open {hard} files, and {wanted} are needed to fill three listen queues")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_handles")
@pytest.mark.parametrize("lab", labs(5), indirect=True)
def test_a_frozen_server_with_full_queues_stays_and_goes_once_it_is_killed(lab: AgentLab, tmp_path: Path) -> None:
    victim = followers(lab)[0]
    lab.freeze(victim)
    with full_queues(lab.layout.host(victim), lab.layout.ports):
        lab.wait_for_gossip(victim, "failed")
        outcome = execute(lab, tmp_path / "runs")
        assert (outcome.code, outcome.asked, changes_received(lab)) == (3, [], []), outcome.text
        assert f"{victim}" in outcome.text
        assert "its machine answers on port" in outcome.text
    lab.kill(victim)
    outcome = execute(lab, tmp_path / "runs")
    assert (outcome.code, outcome.asked) == (0, [victim]), outcome.text
