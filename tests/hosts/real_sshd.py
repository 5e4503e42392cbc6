"""A real sshd on loopback, reached through a configuration as a user would write it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@dataclass(frozen=True)
class RealSshd:
    """``practice`` is its name in that configuration; ``know`` says which host key is known of it, if any."""

    port: int
    home: Path

    def know(self, key: str) -> None:
        (self.home / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {key}" if key else "")


@contextmanager
def real_sshd(home: Path, port: int, user: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[RealSshd]:
    """``home`` is a folder that it makes, with everybody's right to read what the user needs to log in."""
    if SSHD is None or shutil.which("ssh") is None:
        pytest.skip("no sshd on PATH")
    home.mkdir(mode=0o755)
    for name in ("host_key", "id"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / name)], check=True, timeout=30)
    shutil.copy(home / "id.pub", home / "authorized_keys")
    (home / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {home}/host_key\nPidFile none\nUsePAM no\n"
        f"AuthorizedKeysFile {home}/authorized_keys\nStrictModes no\nSubsystem sftp internal-sftp\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where a privileged sshd insists on separating privileges
    sshd = subprocess.Popen([SSHD, "-D", "-E", str(home / "sshd.log"), "-f", str(home / "sshd_config")])
    found = RealSshd(port, home)
    found.know((home / "host_key.pub").read_text())
    (home / "config").write_text(
        f"Host practice\n HostName 127.0.0.1\n Port {port}\n User {user}\n\nHost *\n IdentityFile {home}/id\n"
        f" IdentitiesOnly yes\n UserKnownHostsFile {home}/known_hosts\n GlobalKnownHostsFile /dev/null\n"
        " StrictHostKeyChecking yes\n"
    )
    _wrap(home, monkeypatch)
    try:
        _await(sshd, home)
        yield found
    finally:
        sshd.terminate()
        sshd.wait(10)


def _wrap(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real programs with that user's configuration, as ssh finds a home in the user database and not in HOME."""
    folder = home / "bin"
    folder.mkdir()
    for name in ("ssh", "scp"):
        (folder / name).write_text(f'#!/bin/sh\nexec {shutil.which(name)} -F {home}/config "$@"\n')
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def _await(sshd: subprocess.Popen[bytes], home: Path) -> None:
    until = time.monotonic() + 15
    command = ["ssh", "-o", "BatchMode=yes", "practice", "true"]
    while subprocess.run(command, capture_output=True, timeout=15, check=False).returncode != 0:
        assert sshd.poll() is None, (home / "sshd.log").read_text()
        assert time.monotonic() < until, (home / "sshd.log").read_text()
        time.sleep(0.1)
