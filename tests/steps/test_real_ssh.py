"""``ssh.run`` and ``ssh.copy`` against a real sshd on loopback, with the real ssh and scp."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runbook.errors import ErrorKind, StepError
from runbook.steps import ssh
from tests.steps.world import World

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@pytest.fixture
def real_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_port: Callable[..., int]
) -> Iterator[Callable[[str], None]]:
    """An sshd on loopback, reached as ``practice`` through a configuration as a user would write it."""
    if SSHD is None or shutil.which("ssh") is None:
        pytest.skip("no sshd on PATH")
    home, port = tmp_path / "home", free_port("127.0.0.1")
    home.mkdir(mode=0o700)
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
    key = (home / "host_key.pub").read_text()

    def know(key: str) -> None:
        (home / "known_hosts").write_text(f"[127.0.0.1]:{port} {key}" if key else "")

    know(key)
    (home / "config").write_text(
        f"Host practice\n HostName 127.0.0.1\n Port {port}\n User {getpass.getuser()}\n IdentityFile {home}/id\n"
        f" IdentitiesOnly yes\n UserKnownHostsFile {home}/known_hosts\n GlobalKnownHostsFile /dev/null\n"
        " StrictHostKeyChecking yes\n"
    )
    _wrap(home, monkeypatch)
    try:
        _await(sshd, home)
        yield know
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


ODD = ["a b", "$(id)", "it's", "*", "-x", "", "\n", "é", '"', "\\", "~", "#", "!", ";"]


def test_a_real_sshd_hands_every_argument_over_as_it_is(world: World, real_host: Callable[[str], None]) -> None:
    """What its shell makes of our quoting is the list that the playbook wrote."""
    script = "import sys, json; print(json.dumps(sys.argv[1:]))"
    output = world.run("ssh.run", host="practice", argv=[sys.executable, "-c", script, *ODD])[1]
    assert json.loads(output["stdout"]) == ODD


def test_a_real_sshd_gives_input_and_exit_codes(world: World, real_host: Callable[[str], None]) -> None:
    assert world.run("ssh.run", host="practice", argv=["cat"], input="canary")[1]["stdout"] == "canary"
    assert world.run("ssh.run", host="practice", shell="exit 7", exits=[7])[1]["exit_code"] == 7  # noqa: S604


def test_a_real_scp_copies_there_and_back_and_not_what_is_too_large(
    world: World, real_host: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sent: it").write_bytes(bytes(range(256)))
    there = tmp_path / "there"
    world.run("ssh.copy", host="practice", send=str(tmp_path / "sent: it"), to=str(there))
    assert there.read_bytes() == bytes(range(256))
    back = world.run("ssh.copy", host="practice", fetch=str(there), to="back")[1]["path"]
    assert Path(back).read_bytes() == bytes(range(256))
    monkeypatch.setattr(ssh, "LARGEST", 100)
    with pytest.raises(StepError, match="scp was killed by SIGXFSZ|File too large"):
        world.run("ssh.copy", host="practice", fetch=str(there), to="back")
    assert Path(back).read_bytes() == bytes(range(256))
    with pytest.raises(StepError, match="No such file"):
        world.run("ssh.copy", host="practice", fetch="/no/such/file", to="none")


def test_a_real_ssh_refuses_a_host_key_that_it_does_not_know(world: World, real_host: Callable[[str], None]) -> None:
    """Nobody is asked, and nothing is trusted on first sight."""
    real_host("")
    with pytest.raises(StepError, match="was turned away") as caught:
        world.run("ssh.run", host="practice", argv=["true"])
    assert caught.value.kind is ErrorKind.UNEXPECTED
