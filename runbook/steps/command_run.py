"""``command.run``: any program on this host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.steps import commands
from runbook.steps.base import StepResult
from runbook.steps.shown import shown
from runbook.steps.trouble import unexpected

if TYPE_CHECKING:
    from runbook.steps.context import StepContext

DECLARATION = StepDeclaration(
    "command.run",
    "Run a program on this host, keep what it prints, and fail when it does not end well in time.",
    Effect.UNKNOWN,
    parameters=(
        Field("argv", "list", "the program and its arguments, no shell; the process list shows them"),
        Field("shell", "string", "a line for /bin/sh instead of argv, where a shell is truly wanted"),
        Field("env", "map", "variables beside PATH, HOME, USER, TMPDIR, TZ and the locale", secret_ok=True),
        Field("cwd", "path", "the folder to run in; the one where runbook was started if nothing is said"),
        commands.GIVEN,
        commands.EXITS,
        Field("timeout", "duration", "after it the program and all its children are killed", default=60.0, min=0.001),
    ),
    results=commands.RESULTS,
    observe="Only a command that looks can tell: put one with effect: read before it, and an if on this step.",
    shadow="With effect: read it is run; else it is told what would be run, with its environment and input.",
    example="""\
- id: version
  uses: command.run
  effect: read                # it changes nothing, so a dry run runs it too
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


def run(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """One command, or in a dry run the words for it. Raises StepError."""
    from runbook.steps.process import Command, run_command, small_environment

    way = commands.one_of(arguments, "argv", "shell")
    if not commands.may_run(context, arguments):
        return commands.foretold(shown(arguments[way]), arguments)
    argv = commands.words(arguments["argv"], "argv") if way == "argv" else ["/bin/sh", "-c", arguments["shell"]]
    good, seconds = commands.good_exits(arguments), context.left(arguments["timeout"])
    given = (arguments["input"] or "").encode("utf-8", "replace")
    environment = small_environment(_variables(arguments["env"] or {}))
    ended = run_command(Command(argv, environment, arguments["cwd"], given), seconds)
    return commands.judged(argv[0] if way == "argv" else "the shell", ended, good, seconds)


def _variables(env: dict[str, Any]) -> dict[str, str]:
    for name, value in env.items():
        if not name or "=" in name or "\0" in name:
            raise unexpected(f"env holds {name[:60]!r}, which is no name of a variable")
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise unexpected(f"the variable {name} is neither text nor number", "Write it as a text")
    return {name: str(value) for name, value in env.items()}
