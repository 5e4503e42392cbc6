"""``command.run``: any program on this host; and how the end of a program is judged, here and over ssh."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from runbook.errors import ErrorKind, StepError, unexpected
from runbook.label import Label
from runbook.playbook.diagnostics import describe_value
from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.printable import printable
from runbook.steps.base import Step, StepResult
from runbook.text import beginning, is_known, last_line, shown

if TYPE_CHECKING:
    from runbook.by_hand import HandView, Instruction
    from runbook.doors import Purpose
    from runbook.hosts.process import Ended
    from runbook.steps.context import StepContext

INPUT = Field("input", "string", "its standard input; nothing where nothing is said", secret_ok=True)
EXITS = Field("exits", "list", "the exit codes that are good; 0 where nothing is said")
RESULTS = (
    Field("exit_code", "int", "its exit code"),
    Field("stdout", "string", "its output without the line break at its end; at most the first and the last 32 KiB"),
    Field("stderr", "string", "its error output, in the same way"),
    Field("left_out", "int", "how many bytes of both were not kept"),
)


COMMAND_RUN = StepDeclaration(
    "command.run",
    "Run a program on this host, keep what it prints, and fail when it does not end well in time.",
    Effect.UNKNOWN,
    parameters=(
        Field(
            "argv", "list", "the program and its arguments, no shell; the process list shows them", read_by_shell=True
        ),
        Field(
            "shell",
            "string",
            "a line for /bin/sh instead of argv, where a shell is truly wanted; values in it need quote()",
            read_by_shell=True,
        ),
        Field("env", "map", "variables beside PATH, HOME, USER, TMPDIR, TZ and the locale", secret_ok=True),
        Field("cwd", "path", "the folder to run in; the one where runbook was started if nothing is said"),
        INPUT,
        EXITS,
        Field("timeout", "duration", "after it the program and all its children are killed", default=60.0, min=0.001),
    ),
    results=RESULTS,
    observe="Only a command that looks can tell: put one with effect: read before it, and an if on this step.",
    shadow="It is told what would be run, with its environment and input. With effect: read and --run-reads it is run.",
    parallel=True,
    example="""\
- id: version
  uses: command.run
  effect: read                # it changes nothing, so execute --dry-run --run-reads runs it too
  with:
    argv: [nomad, version]    # a list: nothing in it is ever read by a shell
    timeout: 10s
- uses: command.run
  with:
    shell: "systemctl is-active nomad | tee -a /var/log/recovery.log"
    exits: [0, 3]             # 3 is inactive, which is no fault here
""",
    exactly_one=("argv", "shell"),
)


def run_on_this_host(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """One command, or in a dry run the words for it. Raises StepError."""
    from runbook.hosts.process import Command, run_command, small_environment

    way = one_given(arguments, "argv", "shell")
    if not is_known(arguments):
        return foretell_command(shown(arguments[way]), arguments)
    argv = argument_list(arguments["argv"], "argv") if way == "argv" else ["/bin/sh", "-c", arguments["shell"]]
    good, environment = good_exits(arguments), small_environment(_variables(arguments["env"] or {}))
    if not may_run(context, arguments):
        return foretell_command(shown(arguments[way]), arguments)
    seconds, given = context.left(arguments["timeout"]), (arguments["input"] or "").encode("utf-8", "replace")
    asked = Command(argv, environment, arguments["cwd"], given, purpose=purpose_of(context))
    ended = run_command(asked, seconds, context.stopped)
    return judge_end(argv[0] if way == "argv" else "the shell", ended, good, seconds)


def _variables(env: dict[str, Any]) -> dict[str, str]:
    for name, value in env.items():
        if not name or "=" in name or "\0" in name:
            raise unexpected(f"env holds {name[:60]!r}, which is no name of a variable")
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise unexpected(f"the variable {name} is neither text nor number", "Write it as a text")
    return {name: str(value) for name, value in env.items()}


# -- what command.run and ssh.run have in common


def purpose_of(context: StepContext) -> Purpose:
    """By what the playbook says of the step."""
    from runbook.doors import Purpose

    return Purpose.READ if context.reads else Purpose.CHANGE


def may_run(context: StepContext, arguments: Mapping[str, Any]) -> bool:
    """In a dry run only what says that it reads, where that is wanted (``--run-reads``) and all of it is known."""
    return not context.dry_run or (context.reads and context.run_reads and is_known(arguments))


def argument_list(value: Any, name: str) -> list[str]:
    """An argument list as a program takes it. Raises StepError for what is none."""
    if not value:
        raise unexpected(f"{name} is empty", f"Write {name}: [program, argument, …]")
    odd = next((item for item in value if isinstance(item, bool) or not isinstance(item, str | int | float)), None)
    if odd is not None or None in value:
        raise unexpected(f"{name} holds {shown(odd)}, which is neither text nor number", "Write each item as a text")
    return [str(item) for item in value]


def one_given(arguments: Mapping[str, Any], *names: str) -> str:
    """The one parameter of these that was given. Raises StepError when it is none or several."""
    given = [name for name in names if arguments[name] is not None]
    if len(given) != 1:
        raise unexpected(f"one of {' and '.join(names)} is needed, and {len(given)} are given", "Keep one of them")
    if arguments[given[0]] == "":
        raise unexpected(f"{given[0]} is empty")
    return given[0]


def good_exits(arguments: Mapping[str, Any]) -> list[int]:
    """Raises StepError for what is no exit code."""
    wanted = arguments["exits"] or [0]
    odd = next((item for item in wanted if type(item) is not int or not 0 <= item <= 255), None)
    if odd is not None:
        raise unexpected(f"exits holds {describe_value(odd)}, which is no exit code", "Write it as in exits: [0, 3]")
    return list(wanted)


def judge_end(name: str, ended: Ended, good: list[int], seconds: float) -> StepResult:
    """What it gave, or the StepError that its end is."""
    said = last_line(ended.stderr) or last_line(ended.stdout)
    tail = f": {said}" if said else ""
    if ended.code is None:
        what = f"{name} had not ended after {seconds:.3g} s and was killed{tail}"
        raise StepError(ErrorKind.TIMEOUT, what, "Look what it has done so far")
    if ended.code < 0:
        raise unexpected(f"{name} was killed by {_signal_name(-ended.code)}{tail}", unsettled=True)
    if ended.code not in good:
        raise unexpected(f"{name} ended with {ended.code}{tail}")
    stdout, stderr = (_without_line_break(text) for text in (ended.stdout, ended.stderr))
    output = {"exit_code": ended.code, "stdout": stdout, "stderr": stderr, "left_out": ended.left_out}
    return StepResult(f"{name} ended with {ended.code}", output, Label.LIVE)


def _without_line_break(text: str) -> str:
    """Less the one that ends its last line, as ``$( )`` has it: what is compared is what is seen."""
    return text[:-2] if text.endswith("\r\n") else text.removesuffix("\n")


def foretell_command(what: str, arguments: Mapping[str, Any]) -> StepResult:
    """The words of a dry run: what would be run, and how."""
    lines = [f"would run {what}"]
    lines += [f"with {key}: {shown(arguments[key])}" for key in ("cwd", "env") if arguments.get(key) is not None]
    if arguments.get("input") is not None:
        lines.append(f"with input: {printable(beginning(shown(arguments['input']), 2000))}")
    return StepResult("\n".join(lines), {}, Label.UNKNOWN)


def _signal_name(number: int) -> str:
    import signal

    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def type_by_hand(_view: HandView, arguments: dict[str, Any]) -> Iterator[Instruction]:
    """The command itself."""
    from runbook.by_hand import Instruction, in_words, shell_text, shell_word, shell_words

    argv, line = arguments["argv"], arguments["shell"]
    command = shell_words(argv) if argv is not None else shell_text(line)
    env = arguments["env"] if isinstance(arguments["env"], dict) else {}
    lines = [f"export {name}={shell_word(value)}" for name, value in env.items()]
    if arguments["cwd"]:
        lines.insert(0, f"cd {shell_word(arguments['cwd'])}")
    lines.append(command if arguments["input"] is None else f"printf %s {shell_word(arguments['input'])} | {command}")
    good = f" Good exit codes: {in_words(arguments['exits'])}." if arguments["exits"] else ""
    yield Instruction(f"On this host.{good}", ("(", *lines, ")") if len(lines) > 1 else tuple(lines))


STEPS = (Step(COMMAND_RUN, run_on_this_host, type_by_hand),)
