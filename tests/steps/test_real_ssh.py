"""``ssh.run`` and ``ssh.copy`` against a real sshd on loopback, with the real ssh and scp."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runbook.errors import ErrorKind, StepError
from runbook.steps import ssh
from tests.hosts.real_sshd import real_sshd
from tests.steps.world import World


@pytest.fixture
def real_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_port: Callable[..., int]
) -> Iterator[Callable[[str], None]]:
    """An sshd that takes this user; what is given back says which host key is known of it."""
    with real_sshd(tmp_path / "home", free_port("127.0.0.1"), getpass.getuser(), monkeypatch) as sshd:
        yield sshd.know


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
