"""`runbook worker` and `--via celery` before any broker is met: what is missing is told, and no password is shown."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_line import ROOT, Done, runbook

HIDDEN_BEHIND = (
    "import sys; sys.modules.update(celery=None, redis=None); from runbook.cli.main import main; main({words})"
)
RECOVER = ("fleet", "execute", "remove-dead-peers", "--all", "--via", "celery", "--yes")
SECRET = "hunter22hunter22"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    path = tmp_path / "clusters.yaml"
    row = "a: { kind: nomad, labels: { region: eu }, addresses: ['http://127.0.0.1:9'] }"
    path.write_text(f"inventory: 1\nclusters: {{ {row} }}\n", encoding="utf-8")
    return {**os.environ, "RUNBOOK_INVENTORY": str(path)}


def without_the_extra(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", HIDDEN_BEHIND.format(words=list(words))]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("words", [("worker", "--region", "eu"), (*RECOVER, "--dry-run")])
def test_without_the_extra_it_says_how_to_get_it(environment: dict[str, str], words: tuple[str, ...]) -> None:
    done = without_the_extra({**environment, "RUNBOOK_BROKER": "redis://127.0.0.1:9/0"}, *words)
    assert done.returncode == 2, done
    assert "celery is not installed, which workers need. pip install 'runbook-engine[fleet]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_check_says_so_in_its_line(environment: dict[str, str]) -> None:
    """A monitor reads stdout, and 3 is unknown."""
    done = without_the_extra(environment, "check", "--all", "--via", "celery")
    assert (done.returncode, "RAFT UNKNOWN - celery is not installed" in done.stdout) == (3, True), done


def test_nobody_else_needs_it(environment: dict[str, str]) -> None:
    """The checks of a fleet from here load none of it."""
    done = without_the_extra(environment, "check", "--all", "--timeout", "1")
    assert "1 cluster: 1 unknown" in done.stdout, done


@pytest.mark.parametrize(
    ("words", "more", "sentence"),
    [
        (("worker", "--region", "eu"), {}, "there is no broker. Name one: RUNBOOK_BROKER="),
        (("worker", "--region", "e u"), {}, "a region has letters, digits"),
        (("worker", "--region", "eu", "--beat", "1s"), {}, "once in 10s at most"),
        (("worker", "--region", "us"), {"RUNBOOK_BROKER": "redis://h/0"}, "has no cluster in region us"),
        (("worker", "--region", "eu", "--broker", f"redis://:{SECRET}@h/0"), {}, "Put the URL into RUNBOOK_BROKER"),
        (("worker", "--region", "eu"), {"RUNBOOK_BROKER": f"amqp://u:{SECRET}@h//"}, "need a Redis beside it"),
        (("worker", "--region", "eu"), {"RUNBOOK_BROKER": f"ftp://u:{SECRET}@h/"}, "ftp://h is no address of a broker"),
        (
            ("worker", "--region", "eu", "--signers", "/nowhere"),
            {"RUNBOOK_BROKER": "redis://h/0"},
            "allowed signers /nowhere cannot be read",
        ),
        (RECOVER, {"RUNBOOK_BROKER": "redis://h/0"}, "workers change nothing for an order that nobody signed"),
        (
            (*RECOVER, "--dry-run", "--param", f"confirm_for={SECRET}"),
            {"RUNBOOK_BROKER": "redis://h/0", "NOMAD_TOKEN": SECRET},
            "(secret)",
        ),
        (("check", "--via", "celery"), {}, "are for several clusters"),
        (("check", "--all", "--via", "celery", "--timeout", "30"), {}, "gives each check 20 s at most"),
        (("check", "--all", "--broker", "redis://h/0"), {}, "--broker is for --via celery"),
    ],
)
def test_what_stands_in_the_way_is_told(
    environment: dict[str, str], words: tuple[str, ...], more: dict[str, str], sentence: str
) -> None:
    done: Done = runbook({**environment, **more}, *words)
    assert done.returncode == (3 if words[0] == "check" else 2), done
    assert sentence in " ".join((done.stdout + done.stderr).split()), done
    assert SECRET not in done.stdout + done.stderr


def test_a_broker_that_is_not_there_is_told_without_its_password(environment: dict[str, str]) -> None:
    done = runbook(
        {**environment, "RUNBOOK_BROKER": f"redis://:{SECRET}@127.0.0.1:9/0"}, "check", "--all", "--via", "celery"
    )
    assert (done.returncode, "127.0.0.1:9 does not take the order" in done.stdout) == (3, True), done
    assert SECRET not in done.stdout + done.stderr
