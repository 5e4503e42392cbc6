"""What runs by the clock: units that systemd itself takes, and a line that cron's own shell and environment start."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from runbook.inspection.timers import TimedCommand, cron_line, is_regular, service_unit, timer_unit
from tests.command_line import runbook

VERIFY = shutil.which("systemd-analyze")
DAILY = ("execute", "take-snapshot", "--cluster", "nomad-eu")


def written(root: Path, *words: str) -> list[str]:
    done = runbook(os.environ, "install-timer", "--write", str(root), *words)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.skipif(VERIFY is None, reason="systemd-analyze is not here")
@pytest.mark.parametrize("words", [("check", "--cluster", "nomad-eu"), ("--every", "6h", *DAILY), DAILY])
def test_systemd_takes_what_is_written_into_a_root_of_its_own(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Verified by the command, and once more here; written again it is the same."""
    told = written(tmp_path, *words)
    assert told[2] == "verified by systemd-analyze"
    units = sorted(str(path) for path in (tmp_path / "etc/systemd/system").iterdir())
    assert [Path(unit).suffix for unit in units] == [".service", ".timer"]
    done = subprocess.run([str(VERIFY), "verify", *units], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    assert written(tmp_path, *words) == told


@pytest.mark.skipif(VERIFY is None, reason="systemd-analyze is not here")
def test_words_that_systemd_reads_in_its_own_way_arrive_as_they_were(tmp_path: Path) -> None:
    """By systemd's rules: %% is a percent sign, $$ a dollar."""
    written(tmp_path, "--name", "odd", "check", "--cluster", 'a b%$c"\\')
    text = (tmp_path / "etc/systemd/system/odd.service").read_text()
    assert text.count('--cluster "a b%%$$c\\"\\\\"\n') == 1


def test_a_check_may_end_as_plugins_do_and_a_playbook_may_not() -> None:
    """A snapshot that was missed is made up for; a check is not."""
    check = TimedCommand("c", ("/x/runbook",), ("check",), 60)
    daily = TimedCommand("d", ("/x/runbook",), ("execute", "take-snapshot"), 86400)
    assert "SuccessExitStatus=1 2 3" in service_unit(check)
    assert "SuccessExitStatus" not in service_unit(daily)
    assert ("Persistent" in timer_unit(check), "Persistent=true" in timer_unit(daily)) == (False, True)
    assert "RandomizedDelaySec=15\n" in timer_unit(check)
    assert "RandomizedDelaySec=900\n" in timer_unit(daily)
    tried = (60, 120, 420, 3600, 7200, 18000, 86400, 90, 172800, 0.5)
    assert [seconds for seconds in tried if is_regular(seconds)] == [60, 120, 3600, 7200, 86400]


def test_crons_own_shell_starts_it_with_what_the_file_says_and_never_twice(tmp_path: Path) -> None:
    """An environment of four variables; the second finds the lock held and does nothing; a % is no line's end."""
    program, environment, lock = tmp_path / "runbook", tmp_path / "env", tmp_path / "lock"
    program.write_text(f'#!/bin/sh\necho "$NOMAD_ADDR $*" >>{tmp_path}/ran\nsleep 0.7\n')
    program.chmod(0o755)
    environment.write_text("NOMAD_ADDR=http://10.0.0.11:4646\n")
    timed = TimedCommand("t", (str(program),), ("check", "--cluster", "100%"), 60)
    line = cron_line(timed, "host-1")
    times, command = line[: len("* * * * *")], line[len("* * * * * ") :]
    assert times == "* * * * *"
    assert "%" not in command.replace("\\%", "")
    delay = next(word for word in command.split(";") if word.startswith(" sleep "))
    assert 0 <= int(delay.split()[1]) < 15
    command = command.replace("\\%", "%").replace(delay, " sleep 0").replace("/etc/runbook/env", str(environment))
    command = command.replace("/run/lock/t.lock", str(lock))
    cron = {"SHELL": "/bin/sh", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "LOGNAME": "root"}
    began = time.monotonic()
    with (
        subprocess.Popen(["/bin/sh", "-c", command], env=cron) as one,
        subprocess.Popen(["/bin/sh", "-c", command], env=cron) as other,
    ):
        codes = sorted((one.wait(10), other.wait(10)))
    assert codes == [0, 1]
    assert time.monotonic() - began < 5
    assert (tmp_path / "ran").read_text() == "http://10.0.0.11:4646 check --cluster 100%\n"


def test_hosts_do_not_begin_together() -> None:
    timed = TimedCommand("t", ("/x/runbook",), DAILY, 86400)
    assert len({cron_line(timed, f"host-{number}") for number in range(50)}) > 30
    assert cron_line(timed, "a") == cron_line(timed, "a")
    assert cron_line(timed, "a", "root").startswith("0 3 * * * root set -a; ")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("diagnose",), "check and execute run by the clock"),
        (("check", "--hurry"), "No such option"),
        (("--every", "7m", "check"), "minutes that divide an hour"),
        (("execute", "remove-dead-peers", "--yes"), "--yes needs --unattended"),
        (("--name", "../x", "check"), "no name of a unit"),
        (("check", "--cluster", "a\nb"), "no name of a unit"),
        (("--name", "x", "check", "--cluster", "a\nb"), "no line break"),
    ],
)
def test_what_cannot_run_by_the_clock_is_told(words: tuple[str, ...], sentence: str) -> None:
    done = runbook(os.environ, "install-timer", *words)
    assert done.returncode == 2
    assert sentence in " ".join(done.stderr.split())


def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "etc/cron.d"
    folder.mkdir(parents=True)
    (folder / "runbook-check").write_text("* * * * * root true\n")
    done = runbook(os.environ, "install-timer", "--crontab", "--write", str(tmp_path), "check")
    assert done.returncode == 2
    assert "was written by somebody else" in done.stderr
    assert (folder / "runbook-check").read_text() == "* * * * * root true\n"


def test_a_playbook_is_found_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Systemd starts it in /."""
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("x")
    told = runbook(os.environ, "install-timer", "execute", "mine.yaml").stdout
    assert f"execute {tmp_path}/mine.yaml\n" in told
    assert "runbook-mine.timer" in told
