"""Who runs a run, by their names and keys; and with which key an approval is signed."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path

import pytest

from runbook.errors import SettingsError
from runbook.signatures import executors_here, sign_approval
from tests.approvers import Desk, Signer, fingerprint_of, open_desk

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen here")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return open_desk(tmp_path)


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """An agent of this test's own, which ends with it."""
    socket = str(tmp_path / "agent")
    with subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL) as process:
        until = time.monotonic() + 10
        while not os.path.exists(socket) and time.monotonic() < until:  # noqa: PTH110 -- a socket
            time.sleep(0.02)
        monkeypatch.setenv("SSH_AUTH_SOCK", socket)
        yield
        process.terminate()


def add_to_agent(one: Signer) -> None:
    subprocess.run(["ssh-add", "-q", one.key], check=True, timeout=20)


@pytest.mark.usefixtures("agent")
def test_an_agent_signs(desk: Desk, tmp_path: Path) -> None:
    """By the public half alone, or by its only key; and what it holds is the key of whoever runs it."""
    digest, moment = sha256(desk.plan.read_bytes()).hexdigest(), datetime.now(timezone.utc)
    with pytest.raises(SettingsError, match=r"the agent holds 0. Name a key"):
        sign_approval(digest, moment, None, tmp_path)
    add_to_agent(desk.ann)
    public = tmp_path / "half.pub"
    public.write_text(desk.ann.public, encoding="utf-8")
    for key in (str(public), None):
        desk.beside("ann").write_bytes(sign_approval(digest, moment, key, tmp_path))
        assert desk.code() == "agreed: ann@example.org"
    here = executors_here({"HOME": str(tmp_path), "LOGNAME": "somebody"}, "who-began")
    assert {"somebody", "who-began"} <= here.names
    assert fingerprint_of(desk.ann) in here.keys
    assert desk.code(executors=here) == "ApprovedByOneself"


def test_a_key_in_ones_own_folder_is_ones_own(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind sudo too, where the environment has another name; and what else lies there does no harm."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    ssh = tmp_path / ".ssh"
    ssh.mkdir()
    shutil.copy(desk.ann.key.with_suffix(".pub"), ssh / "work.pub")
    os.mkfifo(ssh / "pipe.pub")
    (ssh / "odd.pub").write_bytes(b"\xff ssh \n")
    here = executors_here({"HOME": str(tmp_path), "SUDO_USER": "eve"})
    assert (fingerprint_of(desk.ann) in here.keys, fingerprint_of(desk.bob) in here.keys) == (True, False)
    assert "eve" in here.names


def test_a_key_that_cannot_sign_says_why(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One with a passphrase, as nobody is asked for it; and one that is none."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    locked = tmp_path / "locked"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "a passphrase", "-f", locked], check=True, timeout=20)
    for key in (locked, desk.plan, tmp_path / "nowhere"):
        with pytest.raises(SettingsError, match=f"ssh-keygen made no signature by {key}: .*ssh-add {key}"):
            sign_approval("0" * 64, datetime.now(timezone.utc), str(key), tmp_path)
