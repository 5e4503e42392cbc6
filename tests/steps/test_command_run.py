"""``command.run`` on real programs: exit codes, environment, limits of time and memory, and dry runs."""

from __future__ import annotations

import os
import signal
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from runbook.clock import Deadline
from runbook.errors import ErrorKind, StepError
from runbook.hosts.process import HALF, Command, run_command
from runbook.playbook.expressions.model import UNKNOWN
from tests.steps.world import World

PYTHON = sys.executable


def failure(world: World, **arguments: Any) -> StepError:
    with pytest.raises(StepError) as caught:
        world.run("command.run", **arguments)
    return caught.value


def test_what_it_prints_is_kept_and_its_end_is_told(world: World) -> None:
    message, output = world.run("command.run", argv=["sh", "-c", "echo out; echo err >&2"])
    assert message == "sh ended with 0"
    assert output == {"exit_code": 0, "stdout": "out", "stderr": "err", "left_out": 0}


@pytest.mark.parametrize(
    ("printed", "kept"),
    [("active\\n", "active"), ("a\\n\\n", "a\n"), ("a\\r\\n", "a"), ("a", "a"), ("\\n", ""), (" a \\n", " a ")],
)
def test_one_line_break_at_the_end_is_not_part_of_the_output(world: World, printed: str, kept: str) -> None:
    """So that ``result.stdout == "active"`` means what it says, and nobody writes ``in``, which ``inactive`` fits."""
    assert world.run("command.run", argv=["printf", printed])[1]["stdout"] == kept


def test_no_shell_reads_an_argument(world: World) -> None:
    """What a shell would run, replace or split arrives as it is."""
    odd = "$(touch x); `id` && * 'a b' \"c\" \n>"
    assert world.run("command.run", argv=["printf", "%s", odd])[1]["stdout"] == odd


def test_numbers_are_arguments_too(world: World) -> None:
    assert world.run("command.run", argv=["echo", 3, 2.5])[1]["stdout"] == "3 2.5"


def test_a_shell_runs_only_where_it_is_asked_for_by_name(world: World) -> None:
    assert world.run("command.run", shell="echo a | tr a b")[1]["stdout"] == "b"  # noqa: S604


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "one of argv and shell is needed, and 0 are given"),
        ({"argv": ["true"], "shell": "true"}, "2 are given"),
        ({"argv": []}, "argv is empty"),
        ({"shell": ""}, "shell is empty"),
        ({"argv": ["echo", None]}, "argv holds null"),
        ({"argv": ["echo", True]}, "argv holds true"),
        ({"argv": ["echo", ["a"]]}, "argv holds [a]"),
        ({"argv": ["echo", "a\0b"]}, "hold a NUL"),
        ({"argv": ["echo", "\ud800"]}, "hold a NUL"),
        ({"argv": ["no-such-program-here"]}, "no-such-program-here cannot be started: No such file"),
        ({"argv": ["/etc/passwd"]}, "/etc/passwd cannot be started: Permission denied"),
        ({"argv": ["true"], "cwd": "/no/such/folder"}, "/no/such/folder cannot be started: No such file"),
        ({"argv": ["true", "x" * 300_000]}, "Argument list too long"),
        ({"argv": ["true"], "env": {"A=B": "c"}}, "no name of a variable"),
        ({"argv": ["true"], "env": {"A": ["c"]}}, "variable A is neither text nor number"),
        ({"argv": ["true"], "env": {"A": "\0"}}, "hold a NUL"),
        ({"argv": ["true"], "exits": ["0"]}, 'exits holds the string "0", which is no exit code'),
        ({"argv": ["true"], "exits": [256]}, "exits holds 256"),
    ],
)
def test_what_cannot_be_run_is_said_in_a_sentence_and_not_retried(
    world: World, arguments: dict[str, Any], words: str
) -> None:
    error = failure(world, **arguments)
    assert (words in str(error), error.kind) == (True, ErrorKind.UNEXPECTED), str(error)


def test_an_exit_code_that_is_not_expected_fails_with_the_last_thing_it_said(world: World) -> None:
    error = failure(world, argv=["sh", "-c", "echo first >&2; echo no such job >&2; exit 3"])
    assert str(error) == "sh ended with 3: no such job"


def test_an_exit_code_that_is_expected_is_good_and_zero_is_then_bad(world: World) -> None:
    assert world.run("command.run", argv=["sh", "-c", "exit 3"], exits=[3])[1]["exit_code"] == 3
    assert "ended with 0" in str(failure(world, argv=["true"], exits=[3]))


def test_death_by_a_signal_is_told_by_its_name(world: World) -> None:
    assert "was killed by SIGKILL" in str(failure(world, argv=["sh", "-c", "kill -9 $$"]))


def test_only_a_small_environment_and_what_the_playbook_names_reaches_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I13: the token this tool itself was given is not the command's business."""
    monkeypatch.setenv("NOMAD_TOKEN", "canary")
    monkeypatch.setenv("LD_PRELOAD", "")
    printed = world.run("command.run", argv=["env"], env={"GIVEN": "yes", "COUNT": 3})[1]["stdout"].splitlines()
    names = {line.partition("=")[0] for line in printed}
    assert {"GIVEN=yes", "COUNT=3"} <= set(printed)
    assert "PATH" in names
    assert not names & {"NOMAD_TOKEN", "LD_PRELOAD", "RUNBOOK_STATE_DIR"}


def test_it_reads_what_it_is_given_and_else_nothing(world: World) -> None:
    assert world.run("command.run", argv=["cat"], input="a\nb")[1]["stdout"] == "a\nb"
    assert world.run("command.run", argv=["cat"], timeout=5.0)[1]["stdout"] == ""


def test_input_larger_than_any_pipe_goes_through_and_need_not_be_read(world: World) -> None:
    big = "x" * 3_000_000
    assert world.run("command.run", argv=["wc", "-c"], input=big)[1]["stdout"].strip() == "3000000"
    assert world.run("command.run", argv=["true"], input=big)[1]["exit_code"] == 0


def test_it_runs_in_the_folder_that_is_named(world: World, tmp_path: Path) -> None:
    assert world.run("command.run", argv=["pwd"], cwd=str(tmp_path))[1]["stdout"].strip() == str(tmp_path.resolve())


def test_a_command_that_does_not_end_is_killed_with_its_grandchildren(world: World, tmp_path: Path) -> None:
    """The whole group, also those who ignore the polite signal."""
    pids = tmp_path / "pids"
    script = (
        f"trap '' TERM; (trap '' TERM; echo $$ >>{pids}; sh -c 'echo $$ >>{pids}; sleep 300'; sleep 300) & sleep 300"
    )
    began = time.monotonic()
    error = failure(world, argv=["sh", "-c", f"{script}"], timeout=0.6)
    assert error.kind is ErrorKind.TIMEOUT
    assert "had not ended after 0.6 s and was killed" in str(error)
    assert time.monotonic() - began < 8
    started = [int(line) for line in pids.read_text().split()]
    assert len(started) == 2
    _await_death_of(started)


def _await_death_of(pids: list[int]) -> None:
    """A killed process takes a moment to go."""
    until = time.monotonic() + 5
    while alive := [pid for pid in pids if _is_alive(pid)]:
        assert time.monotonic() < until, f"{alive} are alive"
        time.sleep(0.02)


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # dead, and not yet collected by whoever adopted it


def test_an_interrupt_kills_it_too(tmp_path: Path) -> None:
    """Ctrl-C reaches only this process, as a command has a session of its own."""
    pid = tmp_path / "pid"

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_command(Command(["sh", "-c", f"echo $$ >{pid}; sleep 300"], dict(os.environ)), 30)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    _await_death_of([int(pid.read_text())])


def test_a_child_left_behind_does_not_hold_the_step_up_and_lives_on(world: World) -> None:
    """A service that a command starts and that keeps its output open is what it was started for."""
    began = time.monotonic()
    output = world.run("command.run", argv=["sh", "-c", "sleep 30 & echo $!"], timeout=20.0)[1]
    child = int(output["stdout"])
    try:
        assert time.monotonic() - began < 10
        assert _is_alive(child)
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_command_that_closes_its_output_is_still_awaited(world: World) -> None:
    script = "import os, time; os.close(1); os.close(2); time.sleep(0.4); os._exit(7)"
    assert world.run("command.run", argv=[PYTHON, "-c", script], exits=[7])[1]["exit_code"] == 7


def test_of_much_output_the_beginning_and_the_end_are_kept(world: World) -> None:
    """Memory and journal stay small, whatever it prints."""
    script = "print('first'); print('middle\\n' * 200000); print('last')"
    output = world.run("command.run", argv=[PYTHON, "-c", script])[1]
    assert output["stdout"].startswith("first\n")
    assert output["stdout"].endswith("last")
    assert len(output["stdout"]) <= 2 * HALF + 100
    assert output["left_out"] == len("first\n" + "middle\n" * 200000 + "\nlast\n") - 2 * HALF
    assert f"({output['left_out']} bytes are left out here)" in output["stdout"]


def test_endless_output_is_read_in_bounded_memory_until_the_time_is_over(world: World) -> None:
    tracemalloc.start()
    error = failure(world, argv=["yes", "for ever"], timeout=0.7)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (error.kind, peak < 2_000_000) == (ErrorKind.TIMEOUT, True), f"{peak} bytes at most"


def test_no_secret_is_cut_through_where_output_is_left_out(world: World) -> None:
    """Redaction looks for whole values; half a token would pass it (I13)."""
    token = "token-" + "0123456789abcdef" * 8
    script = f"import sys; sys.stdout.write(('x' * 60 + ' {token} ') * 3000)"
    kept = world.run("command.run", argv=[PYTHON, "-c", script])[1]["stdout"]
    assert token in kept
    assert "0123456789abcdef" not in kept.replace(token, "")


def test_no_secret_is_cut_through_in_the_words_of_a_failure(world: World) -> None:
    token = "token-" + "0123456789abcdef" * 8
    text = f"{token} " * 40
    error = failure(world, argv=["sh", "-c", 'echo "$TEXT" >&2; exit 1'], env={"TEXT": text})
    assert token in str(error)
    assert "0123456789abcdef" not in str(error).replace(token, "")


def test_bytes_that_are_no_text_are_kept_as_text_that_can_be_recorded(world: World) -> None:
    output = world.run("command.run", argv=["printf", r"\377\376\000\033[31mred\n"])[1]
    assert output["stdout"] == "\ufffd\ufffd\x00\x1b[31mred"


def test_nothing_that_a_terminal_obeys_is_in_the_words_of_a_failure(world: World) -> None:
    error = failure(world, argv=["sh", "-c", r"printf 'a\033]0;b\007\rc\n' >&2; exit 1"])
    assert not [letter for letter in str(error) if not letter.isprintable()]


def test_it_has_no_terminal_at_which_it_could_wait_for_a_password(world: World) -> None:
    error = failure(world, argv=["sh", "-c", "exec </dev/tty"], timeout=5.0)
    assert error.kind is ErrorKind.UNEXPECTED


def test_no_command_outlives_the_end_of_its_step(world: World) -> None:
    """The nearer of its own time-out and the step's end counts; when that is past, nothing is started."""
    now = world.clock.monotonic()
    with pytest.raises(StepError, match="after 0.4 s"):
        world.run("command.run", world.context(deadline=Deadline(now + 0.4, "step it")), argv=["sleep", "30"])
    with pytest.raises(StepError, match="the time of step it is over"):
        world.run("command.run", world.context(deadline=Deadline(now, "step it")), argv=["sleep", "30"])


def test_a_dry_run_runs_nothing_and_says_all_that_would_be_run(world: World, tmp_path: Path) -> None:
    argv = ["touch", str(tmp_path / "made")]
    message, output = world.dry("command.run", argv=argv, env={"A": "b"}, cwd="/x", input="given")
    assert message == f"would run [touch, {tmp_path}/made]\nwith cwd: /x\nwith env: {{A: b}}\nwith input: given"
    assert output == {}
    assert not (tmp_path / "made").exists()


def test_a_dry_run_runs_what_says_that_it_reads_once_all_of_it_is_known(world: World) -> None:
    assert world.dry("command.run", argv=["echo", "hi"], reads=True)[1]["stdout"] == "hi"
    message, output = world.dry("command.run", argv=["echo", UNKNOWN], reads=True)
    assert (message, output) == ("would run [echo, (known when it runs)]", {})
    assert world.dry("command.run", argv=UNKNOWN, env=UNKNOWN, input=UNKNOWN)[1] == {}
