"""``ssh.run`` and ``ssh.copy``: a program on another host, and files to and from it, through the system's own ssh."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runbook.errors import unexpected
from runbook.label import Label
from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.steps import command
from runbook.steps.base import Step, StepResult
from runbook.steps.files import is_inside, writable_path
from runbook.text import is_known, shown

if TYPE_CHECKING:
    from runbook.by_hand import HandView, Instruction
    from runbook.steps.context import StepContext

HOST = Field(
    "host", "string", "a name of ~/.ssh/config, a host name or an address; user@ may stand before", required=True
)
CONNECT = Field("connect_timeout", "duration", "how long the connection may take", default=10.0, min=1, max=600)


SSH_RUN = StepDeclaration(
    "ssh.run",
    "Run a program on another host with the system's own ssh and your own ssh configuration. Nobody is asked for a "
    "password, and an unknown host key is refused unless your configuration says otherwise.",
    Effect.UNKNOWN,
    parameters=(
        HOST,
        Field(
            "argv", "list", "the program and its arguments, each quoted for the shell over there", read_by_shell=True
        ),
        Field("shell", "string", "a line for the shell over there instead of argv", read_by_shell=True),
        command.INPUT,
        command.EXITS,
        CONNECT,
        Field("timeout", "duration", "after it ssh is killed; the program there may go on", default=60.0, min=0.001),
    ),
    results=command.RESULTS,
    observe="Only a command that looks can tell: put one with effect: read before it, and an if on this step.",
    shadow="It is told what would be run where. With effect: read and --run-reads it is run.",
    parallel=True,
    example="""\
- id: disk
  uses: ssh.run
  effect: read              # so that execute --dry-run --run-reads looks too
  with:
    host: admin@s1.example.org
    argv: [df, --output=pcent, /var/lib/nomad data]   # the last one arrives there with its space
  retry: { times: 3, wait: 2s, only_on: [unavailable] }
- uses: ssh.run
  with: { host: s1.example.org, argv: [sudo, -n, systemctl, start, nomad], timeout: 90s }
""",
    exactly_one=("argv", "shell"),
)


def run_over_ssh(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """One command there, or in a dry run the words for it. Raises StepError."""
    import shlex

    from runbook.hosts.process import (
        SSH_FAILED,
        Command,
        checked_host,
        raise_ssh_failure,
        run_command,
        small_environment,
        ssh_options,
    )

    way = command.one_given(arguments, "argv", "shell")
    what = f"{shown(arguments[way])} on {shown(arguments['host'])}"
    if not is_known(arguments):
        return command.foretell_command(what, arguments)
    host, good = checked_host(arguments["host"]), command.good_exits(arguments)
    line = shlex.join(command.argument_list(arguments["argv"], "argv")) if way == "argv" else arguments["shell"]
    if not command.may_run(context, arguments):
        return command.foretell_command(what, arguments)
    seconds = context.left(arguments["timeout"])
    argv = ["ssh", "-T", *ssh_options(min(arguments["connect_timeout"], seconds)), "--", host, line]
    given = (arguments["input"] or "").encode("utf-8", "replace")
    environment, purpose = small_environment({}, "SSH_AUTH_SOCK"), command.purpose_of(context)
    ended = run_command(Command(argv, environment, None, given, purpose=purpose), seconds, context.stopped)
    if ended.code == SSH_FAILED:
        raise_ssh_failure(host, ended)
    name = shown(arguments["argv"][0]) if way == "argv" else "the shell"
    return command.judge_end(f"{name} on {host}", ended, good, seconds)


LARGEST = 1024**3  # bytes of a file that is fetched
_REMOTE = r"[A-Za-z0-9_./~@%+=,][A-Za-z0-9_./~@%+=,:-]*"

SSH_COPY = StepDeclaration(
    "ssh.copy",
    "Copy one file to another host, or from it, with the system's own scp and your own ssh configuration.",
    Effect.UNKNOWN,
    parameters=(
        HOST,
        Field("send", "path", "the file on this host to copy to the other"),
        Field("fetch", "path", "the file on the other host to copy to this one, at most 1 GiB"),
        Field("to", "path", "where it goes; of fetch, a relative path is inside the run's files", required=True),
        CONNECT,
        Field("timeout", "duration", "after it scp is killed", default=120.0, min=0.001),
    ),
    results=(
        Field("path", "string", "where the file is now, on its host"),
        Field("bytes", "int", "its size"),
    ),
    observe="Compare the file's digest on both hosts, as with ssh.run and sha256sum.",
    shadow="It is told what would be copied where. A fetch with effect: read, into the run's files, with --run-reads.",
    parallel=True,
    example="""\
- id: peers
  uses: file.write
  with: { path: peers.json, content: "[]" }
- uses: ssh.copy
  with:
    host: s1.example.org
    send: "${{ peers.path }}"       # where file.write has put it on this host
    to: /var/lib/nomad/server/raft/peers.json
""",
    exactly_one=("send", "fetch"),
)


def copy_over_ssh(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """One copy, or in a dry run the words for it. Raises StepError."""
    from runbook.hosts.process import checked_host

    way = command.one_given(arguments, "send", "fetch")
    what = f"{shown(arguments[way])} {'to' if way == 'send' else 'from'} {shown(arguments['host'])}"
    may = way == "fetch" and command.may_run(context, arguments) and is_inside(context.folder, arguments["to"])
    if context.dry_run and not may:
        return StepResult(f"would copy {what}: {shown(arguments['to'])}", {}, Label.UNKNOWN)
    host = checked_host(arguments["host"])
    if way == "send":
        path, size = _send(context, host, arguments)
    else:
        path, size = _fetch(context, host, arguments)
    return StepResult(f"copied {what}: {path}, {size} bytes", {"path": path, "bytes": size}, Label.LIVE)


def _send(context: StepContext, host: str, arguments: dict[str, Any]) -> tuple[str, int]:
    source = Path(arguments["send"]).absolute()  # with a colon and no slash before it, scp takes it for a host
    try:
        size = source.stat().st_size
    except OSError as error:
        raise unexpected(f"{source}: {error.strerror}", "Name the file to send") from None
    _run_scp(context, arguments, str(source), _remote_name(host, arguments["to"]))
    return str(arguments["to"]), size


def _fetch(context: StepContext, host: str, arguments: dict[str, Any]) -> tuple[str, int]:
    """By way of a name beside it, so that half a file never stands where a whole one is looked for."""
    target = writable_path(context.folder, arguments["to"])
    partial = target.with_name(f".{target.name}.partial")
    try:
        partial.unlink(missing_ok=True)
        partial.touch(mode=0o600)
        _run_scp(context, arguments, _remote_name(host, arguments["fetch"]), str(partial))
        size = partial.stat().st_size
        partial.replace(target)
    except OSError as error:
        raise unexpected(f"{target}: {error.strerror}") from None
    finally:
        partial.unlink(missing_ok=True)
    return str(target), size


def _remote_name(host: str, path: str) -> str:
    """Old and new scp read odd characters in different ways, so there are none. Raises StepError."""
    import re

    if not re.fullmatch(_REMOTE, path):
        hint = "On the other host use letters, digits and . _ / ~ @ % + = , : - only, or ssh.run with input"
        raise unexpected(f"{shown(path)} cannot be copied over ssh with certainty", hint)
    user, _, name = host.rpartition("@")
    name = f"[{name}]" if ":" in name else name
    return f"{user}@{name}:{path}" if user else f"{name}:{path}"


def _run_scp(context: StepContext, arguments: dict[str, Any], source: str, target: str) -> None:
    from runbook.hosts.process import (
        SSH_FAILED,
        Command,
        raise_ssh_failure,
        run_command,
        small_environment,
        ssh_options,
    )

    seconds = context.left(arguments["timeout"])
    argv = ["scp", "-q", *ssh_options(min(arguments["connect_timeout"], seconds)), "--", source, target]
    environment, purpose = small_environment({}, "SSH_AUTH_SOCK"), command.purpose_of(context)
    ended = run_command(Command(argv, environment, largest=LARGEST, purpose=purpose), seconds, context.stopped)
    if ended.code == SSH_FAILED:
        raise_ssh_failure(arguments["host"], ended)
    command.judge_end("scp", ended, [0], seconds)


def type_there_by_hand(_view: HandView, arguments: dict[str, Any]) -> Iterator[Instruction]:
    """The same over ssh."""
    from runbook.by_hand import Instruction, in_words, shell_text, shell_word, shell_words

    argv, line = arguments["argv"], arguments["shell"]
    there = shell_words(argv) if argv is not None else shell_text(line)
    feed = "" if arguments["input"] is None else f"printf %s {shell_word(arguments['input'])} | "
    quiet = "-n " if arguments["input"] is None else ""  # it would read what is pasted behind it
    good = f" Good exit codes: {in_words(arguments['exits'])}." if arguments["exits"] else ""
    command = f"{feed}ssh {quiet}-o BatchMode=yes -- {shell_word(arguments['host'])} {shell_word(there)}"
    yield Instruction(f"On {in_words(arguments['host'])}.{good}", (command,))


def copy_by_hand(_view: HandView, arguments: dict[str, Any]) -> Iterator[Instruction]:
    """One scp."""
    from runbook.by_hand import Instruction, in_words, shell_word

    host, to = arguments["host"], arguments["to"]
    sends = arguments["send"] is not None
    pair = (arguments["send"], f"{host}:{to}") if sends else (f"{host}:{arguments['fetch']}", to)
    words = f"Copy a file {'to' if sends else 'from'} {in_words(host)}."
    yield Instruction(words, (f"scp -o BatchMode=yes -- {' '.join(map(shell_word, pair))}",))


STEPS = (Step(SSH_RUN, run_over_ssh, type_there_by_hand), Step(SSH_COPY, copy_over_ssh, copy_by_hand))
