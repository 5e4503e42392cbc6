"""The recovery of a lost quorum over a real ssh to a real sshd, as a user without rights who may use sudo."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runbook.lab.agents import AgentLab
from tests.contract.lost_quorum import lose, read_key, write_key
from tests.contract.test_recover_lost_quorum import hosts_of, recover
from tests.hosts.real_sshd import RealSshd, real_sshd

pytestmark = [pytest.mark.consul, pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a user")]
RIGHTS = "{user} ALL=(root) NOPASSWD: ALL\n"


@pytest.fixture
def user(tmp_path: Path) -> Iterator[str]:
    """Somebody who is nobody here, and may do everything by ``sudo -n``."""
    if shutil.which("sudo") is None or shutil.which("useradd") is None:
        pytest.skip("no sudo or no useradd on PATH")
    name = f"runbook-{os.getpid()}"
    subprocess.run(["useradd", "--no-create-home", "--shell", "/bin/sh", name], check=True, timeout=30)
    rights = Path(f"/etc/sudoers.d/{name}")
    try:
        subprocess.run(["usermod", "--password", "*", name], check=True, timeout=30)  # locked out of ssh otherwise
        rights.write_text(RIGHTS.format(user=name), encoding="utf-8")
        rights.chmod(0o440)
        for folder in (tmp_path, *tmp_path.parents):
            if folder.stat().st_uid == 0 and folder.is_relative_to("/tmp"):  # noqa: S108 -- where pytest puts it
                folder.chmod(folder.stat().st_mode | 0o055)
        yield name
    finally:
        rights.unlink(missing_ok=True)
        subprocess.run(["userdel", name], check=False, timeout=30)


@pytest.fixture
def sshd(
    tmp_path: Path, user: str, monkeypatch: pytest.MonkeyPatch, free_port: Callable[..., int]
) -> Iterator[RealSshd]:
    with real_sshd(tmp_path / "sshd", free_port("127.0.0.1"), user, monkeypatch) as found:
        yield found


@pytest.fixture
def lab(tmp_path: Path, short_hold: None) -> Iterator[AgentLab]:
    with AgentLab("consul", 5, folder=tmp_path / "lab") as lab:
        lab.wait_for_leader(60)
        yield lab
        AgentLab.load(lab.folder).stop()


def test_three_of_five_are_lost_and_the_survivors_are_recovered_over_ssh(
    lab: AgentLab, tmp_path: Path, user: str, sshd: RealSshd
) -> None:
    """Without sudo, and with a host key that is another one, it is refused before anything is stopped."""
    write_key(lab, "written before the outage")
    dead = lose(lab, 3, wipe=True)
    survivors = [name for name in lab.names if name not in dead]
    there = {"ssh": f"{user}@127.0.0.1", "port": sshd.port, "sudo": True}
    hosts = {name: {**there, **host} for name, host in hosts_of(lab, lab.names).items()}
    for host in hosts.values():
        del host["local"]

    ended = recover(lab, tmp_path, {name: {**host, "sudo": False} for name, host in hosts.items()})
    assert (ended.code, ended.changes) == (1, []), ended.text
    assert "Add sudo: true for this host" in " ".join(ended.text.split())
    sshd.know((sshd.home / "id.pub").read_text())
    ended = recover(lab, tmp_path, hosts)
    assert (ended.code, ended.changes) == (1, []), ended.text
    assert "was turned away" in " ".join(ended.text.split())
    sshd.know((sshd.home / "host_key.pub").read_text())
    rights = Path(f"/etc/sudoers.d/{user}")
    rights.rename(aside := tmp_path / "rights")
    ended = recover(lab, tmp_path, hosts)
    assert (ended.code, ended.changes) == (1, []), ended.text
    assert "Let this user run it by sudo -n there, without a password" in " ".join(ended.text.split())
    shutil.copy(aside, rights)
    rights.chmod(0o440)

    ended = recover(lab, tmp_path, hosts)
    assert ended.code == 0, ended.text
    recovered = AgentLab.load(lab.folder)
    assert recovered.wait_for_leader(60) in survivors
    assert read_key(recovered) == "written before the outage"
