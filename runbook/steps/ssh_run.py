"""``ssh.run``: any program on another host, through the system's own ssh."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.steps import commands, hosts
from runbook.steps.base import StepResult
from runbook.steps.shown import shown

if TYPE_CHECKING:
    from runbook.steps.context import StepContext

DECLARATION = StepDeclaration(
    "ssh.run",
    "Run a program on another host with the system's own ssh and your own ssh configuration. Nobody is asked for a "
    "password, and an unknown host key is refused unless your configuration says otherwise.",
    Effect.UNKNOWN,
    parameters=(
        hosts.HOST,
        Field("argv", "list", "the program and its arguments, each quoted for the shell over there"),
        Field("shell", "string", "a line for the shell over there instead of argv"),
        commands.GIVEN,
        commands.EXITS,
        hosts.CONNECT,
        Field("timeout", "duration", "after it ssh is killed; the program there may go on", default=60.0, min=0.001),
    ),
    results=commands.RESULTS,
    observe="Only a command that looks can tell: put one with effect: read before it, and an if on this step.",
    shadow="With effect: read it is run; else it is told what would be run where.",
    example="""\
- id: disk
  uses: ssh.run
  effect: read              # so that a dry run looks too
  with:
    host: admin@s1.example.org
    argv: [df, --output=pcent, /var/lib/nomad data]   # the last one arrives there with its space
  retry: { times: 3, wait: 2s, only_on: [unavailable] }
- uses: ssh.run
  with: { host: s1.example.org, argv: [sudo, -n, systemctl, start, nomad], timeout: 90s }
""",
    exactly_one=("argv", "shell"),
)


def run(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """One command there, or in a dry run the words for it. Raises StepError."""
    import shlex

    from runbook.steps.process import Command, run_command, small_environment

    way = commands.one_of(arguments, "argv", "shell")
    if not commands.may_run(context, arguments):
        return commands.foretold(f"{shown(arguments[way])} on {shown(arguments['host'])}", arguments)
    host, good = hosts.checked_host(arguments["host"]), commands.good_exits(arguments)
    line = shlex.join(commands.words(arguments["argv"], "argv")) if way == "argv" else arguments["shell"]
    seconds = context.left(arguments["timeout"])
    argv = ["ssh", "-T", *hosts.options(min(arguments["connect_timeout"], seconds)), "--", host, line]
    given = (arguments["input"] or "").encode("utf-8", "replace")
    ended = run_command(Command(argv, small_environment({}, "SSH_AUTH_SOCK"), None, given), seconds)
    if ended.code == hosts.OWN_FAILURE:
        hosts.refuse_own_failure(host, ended)
    name = shown(arguments["argv"][0]) if way == "argv" else "the shell"
    return commands.judged(f"{name} on {host}", ended, good, seconds)
