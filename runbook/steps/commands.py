"""What the steps that run a program have in common: how its end is judged, and what is told and kept of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runbook.playbook.diagnostics import describe_value
from runbook.playbook.model import Field
from runbook.steps.base import StepResult
from runbook.steps.shown import beginning, clean, is_known, last_line, shown
from runbook.steps.trouble import StepError, StepTrouble, unexpected

if TYPE_CHECKING:
    from runbook.steps.context import StepContext
    from runbook.steps.process import Ended

GIVEN = Field("input", "string", "its standard input; nothing where nothing is said", secret_ok=True)
EXITS = Field("exits", "list", "the exit codes that are good; 0 where nothing is said")
RESULTS = (
    Field("exit_code", "int", "its exit code"),
    Field("stdout", "string", "its output, at most the first and the last 32 KiB"),
    Field("stderr", "string", "its error output, at most the first and the last 32 KiB"),
    Field("left_out", "int", "how many bytes of both were not kept"),
)


def may_run(context: StepContext, arguments: Mapping[str, Any]) -> bool:
    """In a dry run only what says that it reads, and only when all of it is known."""
    return not context.dry_run or (context.reads and is_known(arguments))


def words(value: Any, name: str) -> list[str]:
    """An argument list as a program takes it. Raises StepError for what is none."""
    if not value:
        raise unexpected(f"{name} is empty", f"Write {name}: [program, argument, …]")
    odd = next((item for item in value if isinstance(item, bool) or not isinstance(item, str | int | float)), None)
    if odd is not None or None in value:
        raise unexpected(f"{name} holds {shown(odd)}, which is neither text nor number", "Write each item as a text")
    return [str(item) for item in value]


def one_of(arguments: Mapping[str, Any], *names: str) -> str:
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


def judged(name: str, ended: Ended, good: list[int], seconds: float) -> StepResult:
    """What it gave, or the StepError that its end is."""
    said = last_line(ended.stderr) or last_line(ended.stdout)
    tail = f": {said}" if said else ""
    if ended.code is None:
        what = f"{name} had not ended after {seconds:.3g} s and was killed{tail}"
        raise StepError(StepTrouble.TIMEOUT, what, "Look what it has done so far")
    if ended.code < 0:
        raise unexpected(f"{name} was killed by {_signal(-ended.code)}{tail}", unsettled=True)
    if ended.code not in good:
        raise unexpected(f"{name} ended with {ended.code}{tail}")
    output = {"exit_code": ended.code, "stdout": ended.stdout, "stderr": ended.stderr, "left_out": ended.left_out}
    return StepResult(f"{name} ended with {ended.code}", output)


def foretold(what: str, arguments: Mapping[str, Any]) -> StepResult:
    """The words of a dry run: what would be run, and how."""
    lines = [f"would run {what}"]
    lines += [f"with {key}: {shown(arguments[key])}" for key in ("cwd", "env") if arguments.get(key) is not None]
    if arguments.get("input") is not None:
        lines.append(f"with input: {clean(beginning(shown(arguments['input']), 2000))}")
    return StepResult("\n".join(lines), {})


def _signal(number: int) -> str:
    import signal

    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
