"""What a shell is offered, as it asks for it, and the versions that whoever reports a fault is asked for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.command_line import runbook

INVENTORY = "inventory: 1\nclusters: { nomad-eu: { kind: nomad, addresses: ['http://10.0.0.1:4646'] } }\n"


def offered(folder: Path, line: str) -> list[str]:
    """As bash asks: the words typed so far, and which of them is being completed."""
    (folder / "clusters.yaml").write_text(INVENTORY, encoding="utf-8")
    words = line.split(" ")
    environment = {
        **os.environ,
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
        "_RUNBOOK_COMPLETE": "bash_complete",
        "RUNBOOK_STATE_DIR": str(folder / "state"),
        "RUNBOOK_INVENTORY": str(folder / "clusters.yaml"),
    }
    done = runbook(environment)
    assert (done.returncode, done.stderr) == (0, "")
    return [row.split(",", 1)[1] for row in done.stdout.splitlines() if row]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("runbook exec", "execute"),
        ("runbook execute remove", "remove-dead-peers"),
        ("runbook execute nothing-so-called", "nothing-so-called"),  # a file: the shell goes on by itself
        ("runbook steps raft.remove", "raft.remove_peer"),
        ("runbook playbooks safe", "safe-to-stop"),
        ("runbook diagnose --cluster no", "nomad-eu"),
        ("runbook show 2026", "20261127T010203004Z-remove-dead-peers-d559"),
        ("runbook report la", "last"),
    ],
)
def test_a_name_is_completed(tmp_path: Path, line: str, expected: str) -> None:
    run = tmp_path / "state" / "runs" / "20261127T010203004Z-remove-dead-peers-d559"
    run.mkdir(parents=True)
    (run / "journal.jsonl").write_text("")
    assert expected in offered(tmp_path, line)


def test_what_cannot_be_read_is_offered_by_nobody(tmp_path: Path) -> None:
    assert offered(tmp_path, "runbook lab kill s") == []


@pytest.mark.parametrize(
    ("shell", "words"), [("bash", "complete -o"), ("zsh", "#compdef runbook"), ("fish", "--command")]
)
def test_each_shell_has_its_script(shell: str, words: str) -> None:
    done = runbook({}, "completion", shell)
    assert (done.returncode, done.stderr) == (0, "")
    assert "_RUNBOOK_COMPLETE" in done.stdout
    assert words in done.stdout


def test_the_version_names_python_and_the_libraries() -> None:
    done = runbook({}, "--version")
    assert done.stdout.startswith("runbook ")
    assert all(word in done.stdout for word in ("Python 3.", "PyYAML ", "requests ", "click "))
