"""The promises of conftest.py, which all other tests lean on."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SKIPPED = """
import pytest

@pytest.mark.consul
def test_contract():
    pytest.skip("the agent did not start")
"""


def pytest_in(folder: Path, ci: str) -> subprocess.CompletedProcess[str]:
    """Run the one test above under our own conftest.py, as CI or as a developer."""
    shutil.copy(Path(__file__).parent / "conftest.py", folder)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    consul\n    nomad\n")
    (folder / "test_skipped.py").write_text(SKIPPED)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(folder)]
    environment = {**os.environ, "CI": ci}
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
