"""What `make dist` built, on an empty machine: an empty folder and HOME, and nothing in the environment but a PATH.

It takes minutes and a package index, so it is for the night: BUILT names the folder of what was built.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pytest

BUILT = Path(os.environ.get("BUILT", ""))
pytestmark = pytest.mark.skipif("BUILT" not in os.environ, reason="BUILT names no folder that `make dist` made")
PATH = "/usr/local/bin:/usr/bin:/bin"
RECOVERY = """
eval "$(runbook lab up --gossip-delay 2)"
runbook lab kill s3
runbook execute remove-dead-peers --yes --param confirm_for=4s --param watch_for=5s
runbook lab status
runbook report last --format markdown
grep -q "<svg" "$HOME"/.local/state/runbook/runs/*/report.html
runbook lab down
"""
COMPLETION = """
source <(runbook completion bash)
COMP_WORDS=(runbook playbooks safe) COMP_CWORD=2
_runbook_completion runbook
echo "${COMPREPLY[@]}"
"""


@dataclass(frozen=True)
class EmptyMachine:
    """A folder and a HOME with nothing in them, and a command ``runbook``."""

    folder: Path
    command: Path

    def type(self, text: str, shell: str = "/bin/sh") -> str:
        """What it printed. It must end well, and leave nothing where it was typed."""
        home, empty = self.folder / "home", self.folder / "empty"
        home.mkdir(exist_ok=True)
        empty.mkdir(exist_ok=True)
        command = ["/usr/bin/env", "-i", f"HOME={home}", f"PATH={self.command.parent}:{PATH}", shell, "-eu", "-c", text]
        done = subprocess.run(
            command, cwd=empty, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        assert list(empty.iterdir()) == []
        return done.stdout


def installed(folder: Path) -> Path:
    """The wheel, as pip installs it."""
    (wheel,) = BUILT.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True, timeout=120)
    pip = [str(folder / "venv/bin/python"), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    subprocess.run([*pip, str(wheel)], check=True, timeout=300)
    return folder / "venv" / "bin" / "runbook"


def copied(folder: Path) -> Path:
    """The one file, as somebody carries it to a bastion."""
    target = folder / "bin" / "runbook"
    target.parent.mkdir()
    target.write_bytes((BUILT / "runbook.pyz").read_bytes())
    target.chmod(0o755)
    return target


@pytest.fixture(scope="module", params=[installed, copied], ids=["wheel", "zipapp"])
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmptyMachine]:
    folder = tmp_path_factory.mktemp("machine")
    machine = EmptyMachine(folder, request.param(folder))
    yield machine
    machine.type("runbook lab down 2>/dev/null")


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("runbook --version", "click 8"),
        ("runbook validate remove-dead-peers recover-lost-quorum", "2 good"),
        ("runbook playbooks", "safe-to-stop"),
        ("runbook playbooks remove-dead-peers", "name: remove-dead-peers"),
        ("runbook docs", "When quorum is lost"),
        ("runbook docs servers/nomad", "# What Nomad servers do"),
        ("runbook rehearse --list", "dead-leader"),
        ("runbook rehearse remove-dead-peers --scenario two-dead", "recovered"),
        ("runbook steps raft.remove_peer", "raft.remove_peer (change"),
        ("runbook schema", '"$schema"'),
        ("runbook print remove-dead-peers", "nomad"),
        ("runbook demo", "remove-dead-peers: recovered"),
        (RECOVERY, "remove-dead-peers: recovered"),
    ],
)
def test_it_does_all_on_an_empty_machine(machine: EmptyMachine, typed: str, told: str) -> None:
    assert told in machine.type(typed)


def test_a_shell_completes_its_words(machine: EmptyMachine) -> None:
    assert "safe-to-stop" in machine.type(COMPLETION, "/bin/bash")


@pytest.mark.parametrize("words", [["--help"], ["validate", "remove-dead-peers"]], ids=" ".join)
def test_the_one_file_starts_as_fast_as_what_pip_installs(tmp_path: Path, words: list[str]) -> None:
    """Within half as much again, by processor time; run by the Python that built it."""
    command = str(installed(tmp_path))
    sides = [[command, *words], [sys.executable, str(BUILT / "runbook.pyz"), *words]]
    pairs = [[processor_seconds(side) for side in sides] for _ in range(12)][1:]  # the first fills the caches
    ours, theirs = (median(side) for side in zip(*pairs, strict=True))
    assert theirs < 1.5 * ours


def processor_seconds(command: list[str]) -> float:
    before = os.times()
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def test_what_is_inside_is_told() -> None:
    """By name and version, in CycloneDX, also for the one file."""
    sbom = json.loads((BUILT / "runbook.cdx.json").read_text(encoding="utf-8"))
    assert sbom["bomFormat"] == "CycloneDX"
    inside = {each["name"].lower(): each["version"] for each in sbom["components"]}
    assert {"pyyaml", "click", "jinja2", "requests", "structlog", "tenacity", "urllib3"} <= inside.keys()
