"""``ssh.run`` and ``ssh.copy``: what the system's own ssh is told, and what is made of its answers, on a stand-in."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runbook.errors import ErrorKind, StepError
from runbook.hosts.process import checked_host
from runbook.playbook.expressions.model import UNKNOWN
from tests.steps.world import World

OPTIONS = ["-o", "BatchMode=yes", "-o", "ConnectTimeout=10"]
STAND_IN = """\
#!{python}
import json, os, sys, time
with open({log!r}, "a") as log:
    log.write(json.dumps([os.path.basename(sys.argv[0]), *sys.argv[1:]]) + "\\n")
answer = json.load(open({answer!r}))
time.sleep(answer.get("sleep", 0))
sys.stdout.write(answer.get("out", ""))
sys.stderr.write(answer.get("err", ""))
if "given" in answer:
    sys.stdout.write(sys.stdin.read())
if "copy" in answer:
    open(sys.argv[-1], "w").write(answer["copy"])
sys.exit(answer.get("code", 0))
"""


@dataclass
class StandIn:
    """An ``ssh`` and an ``scp`` that come first on PATH."""

    folder: Path

    def answers(self, **answer: Any) -> None:
        (self.folder / "answer").write_text(json.dumps(answer))

    @property
    def told(self) -> list[list[str]]:
        log = self.folder / "log"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    folder = tmp_path / "bin"
    folder.mkdir()
    stand_in = StandIn(folder)
    script = STAND_IN.format(python=sys.executable, log=str(folder / "log"), answer=str(folder / "answer"))
    for name in ("ssh", "scp"):
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    stand_in.answers()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return stand_in


def failure(world: World, uses: str, **arguments: Any) -> StepError:
    with pytest.raises(StepError) as caught:
        world.run(uses, **arguments)
    return caught.value


def test_ssh_is_told_the_host_as_nothing_but_a_host_and_each_argument_quoted(world: World, ssh: StandIn) -> None:
    ssh.answers(out="42%\n")
    message, output = world.run("ssh.run", host="admin@s1.example.org", argv=["df", "a b", "$(id)", "it's", "-x"])
    line = """df 'a b' '$(id)' 'it'"'"'s' -x"""
    assert ssh.told == [["ssh", "-T", *OPTIONS, "--", "admin@s1.example.org", line]]
    assert (message, output["stdout"]) == ("df on admin@s1.example.org ended with 0", "42%")


def test_a_line_for_the_shell_over_there_is_sent_as_it_is(world: World, ssh: StandIn) -> None:
    world.run("ssh.run", host="s1", shell="cd /x && ls | wc -l", connect_timeout=3.4)  # noqa: S604
    assert ssh.told[0][-1] == "cd /x && ls | wc -l"
    assert "ConnectTimeout=3" in ssh.told[0]


@pytest.mark.parametrize("host", ["s1", "s1.example.org", "a_b-c@10.0.0.1", "::1", "root@fe80::1%eth0", "_gateway"])
def test_a_host_is_a_host(host: str) -> None:
    assert checked_host(host) == host


@pytest.mark.parametrize(
    "host",
    [
        "",
        "-oProxyCommand=touch x",
        "-v",
        "user@-v",
        "-v@host",
        "a b",
        "a;id",
        "$(id)",
        "`id`",
        "a|b",
        "a\nb",
        "a\0b",
        "ssh://a",
        "a/b",
        "%h",
        "hé",
        "x" * 256,
        "a@b@c",
    ],
)
def test_what_could_be_an_option_or_be_read_by_a_shell_is_no_host(world: World, ssh: StandIn, host: str) -> None:
    """A host may come from a reply of a broken server; ProxyCommand and Match exec hand it to a shell."""
    assert "is no host" in str(failure(world, "ssh.run", host=host, argv=["true"]))
    assert "is no host" in str(failure(world, "ssh.copy", host=host, send="/etc/passwd", to="/x"))
    assert ssh.told == []


def test_what_it_is_given_goes_there_and_not_into_the_process_list(world: World, ssh: StandIn) -> None:
    ssh.answers(given=True)
    assert world.run("ssh.run", host="s1", argv=["cat"], input="canary")[1]["stdout"] == "canary"
    assert "canary" not in str(ssh.told)


@pytest.mark.parametrize(
    ("said", "trouble", "words"),
    [
        ("ssh: connect to host s1 port 22: Connection refused", ErrorKind.UNAVAILABLE, "ssh to s1 failed"),
        ("ssh: Could not resolve hostname s1", ErrorKind.UNAVAILABLE, "Could not resolve"),
        ("", ErrorKind.UNAVAILABLE, "ssh to s1 failed. Try ssh s1 by hand"),
        ("root@s1: Permission denied (publickey).", ErrorKind.UNEXPECTED, "was turned away"),
        ("Host key verification failed.", ErrorKind.UNEXPECTED, "known_hosts"),
    ],
)
@pytest.mark.parametrize("uses", ["ssh.run", "ssh.copy"])
def test_a_failure_of_ssh_itself_is_told_apart_from_one_of_the_command(
    world: World, ssh: StandIn, uses: str, said: str, trouble: ErrorKind, words: str
) -> None:
    ssh.answers(code=255, err=said)
    more: dict[str, Any] = {"argv": ["true"]} if uses == "ssh.run" else {"send": sys.executable, "to": "/x"}
    error = failure(world, uses, host="s1", **more)
    assert (error.kind, words in str(error)) == (trouble, True), str(error)


def test_an_exit_code_from_over_there_is_judged_as_one_from_here(world: World, ssh: StandIn) -> None:
    ssh.answers(code=3, err="inactive")
    assert str(failure(world, "ssh.run", host="s1", argv=["x"])) == "x on s1 ended with 3: inactive"
    assert world.run("ssh.run", host="s1", argv=["x"], exits=[0, 3])[1]["exit_code"] == 3


def test_ssh_that_hangs_is_killed(world: World, ssh: StandIn) -> None:
    ssh.answers(sleep=60)
    assert failure(world, "ssh.run", host="s1", argv=["x"], timeout=0.8).kind is ErrorKind.TIMEOUT


def test_a_dry_run_touches_no_host_but_to_read(world: World, ssh: StandIn) -> None:
    message, output = world.dry("ssh.run", host="s1", argv=["reboot"])
    assert (message, output) == ("would run [reboot] on s1", {})
    assert world.dry("ssh.run", host=UNKNOWN, argv=["df"], reads=True)[1] == {}
    assert world.dry("ssh.copy", host="s1", send="/a", to="/b") == ("would copy /a to s1: /b", {})
    assert world.dry("ssh.copy", host="s1", send="/a", to="/b", reads=True)[1] == {}
    assert ssh.told == []
    assert world.dry("ssh.run", host="s1", argv=["df"], reads=True)[1]["exit_code"] == 0
    assert len(ssh.told) == 1


def test_a_file_is_sent_by_its_whole_path(world: World, ssh: StandIn, tmp_path: Path) -> None:
    """A relative name with a colon in it would be taken for a host."""
    (tmp_path / "a:b -x").write_text("12345")
    message, output = world.run("ssh.copy", host="root@::1", send=str(tmp_path / "a:b -x"), to="/var/lib/x.json")
    assert ssh.told == [["scp", "-q", *OPTIONS, "--", f"{tmp_path}/a:b -x", "root@[::1]:/var/lib/x.json"]]
    assert output == {"path": "/var/lib/x.json", "bytes": 5}
    assert message == f"copied {tmp_path}/a:b -x to root@::1: /var/lib/x.json, 5 bytes"


def test_a_file_is_fetched_into_the_runs_files_whole_or_not_at_all(world: World, ssh: StandIn) -> None:
    ssh.answers(copy="logs")
    _, output = world.run("ssh.copy", host="s1", fetch="/var/log/x.log", to="s1/x.log")
    target = world.folder / "files" / "s1" / "x.log"
    assert output == {"path": str(target), "bytes": 4}
    assert (target.read_text(), target.stat().st_mode & 0o777) == ("logs", 0o600)
    ssh.answers(copy="half", code=1)
    failure(world, "ssh.copy", host="s1", fetch="/var/log/x.log", to="s1/x.log")
    assert [path.name for path in target.parent.iterdir()] == ["x.log"]
    assert target.read_text() == "logs"


@pytest.mark.parametrize("there", ["/a b", "/a;id", "$(id)", "-x", "/a*", "/a'b", "", "/a\nb"])
def test_a_path_that_old_and_new_scp_read_differently_is_refused(world: World, ssh: StandIn, there: str) -> None:
    assert "with certainty" in str(failure(world, "ssh.copy", host="s1", send=sys.executable, to=there))
    assert "is empty" in str(failure(world, "ssh.copy", host="s1", fetch=there, to="x")) or "with certainty" in str(
        failure(world, "ssh.copy", host="s1", fetch=there, to="x")
    )
    assert ssh.told == []


def test_what_is_not_there_is_not_sent(world: World, ssh: StandIn) -> None:
    assert "/no/such: No such file" in str(failure(world, "ssh.copy", host="s1", send="/no/such", to="/x"))
    assert "one of send and fetch" in str(failure(world, "ssh.copy", host="s1", to="/x"))
    assert ssh.told == []
