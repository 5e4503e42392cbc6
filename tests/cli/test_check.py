"""``runbook check`` where there is no cluster to look at: one line and code 3, never a traceback."""

import json
import socket
from collections.abc import Callable

import pytest

from runbook.cli.check import run_check
from runbook.inspection.check import CheckRequest


def test_an_address_where_nothing_listens_is_unknown(
    monkeypatch: pytest.MonkeyPatch, free_port: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NOMAD_ADDR", f"http://127.0.0.1:{free_port('127.0.0.1')}")
    assert run_check(CheckRequest(timeout=5), "nagios") == 3
    line = capsys.readouterr().out
    assert line.startswith("RAFT UNKNOWN - ")
    assert "nothing listens there" in line
    assert line.count("\n") == 1
    assert "voters=" not in line, "nobody told a number, and a graph would believe a 0"
    run_check(CheckRequest(timeout=5), "json")
    assert "voters" not in json.loads(capsys.readouterr().out)


def test_a_server_that_never_answers_costs_no_more_than_the_timeout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        monkeypatch.setenv("NOMAD_ADDR", f"http://127.0.0.1:{mute.getsockname()[1]}")
        code = run_check(CheckRequest(timeout=0.3), "nagios")
    assert (capsys.readouterr().out, code) == (
        "RAFT UNKNOWN - the look did not finish within 0.3 s; next: runbook diagnose\n",
        3,
    )


def test_a_contradiction_in_the_environment_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NOMAD_CLIENT_CERT", "certificate.pem")
    assert run_check(CheckRequest(timeout=1), "json") == 3
    assert "give both or neither" in capsys.readouterr().out
