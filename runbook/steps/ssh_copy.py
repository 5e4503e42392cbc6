"""``ssh.copy``: one file to another host or from it, through the system's own scp."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.steps import commands, hosts
from runbook.steps.base import StepResult
from runbook.steps.shown import shown
from runbook.steps.trouble import unexpected

if TYPE_CHECKING:
    from runbook.steps.context import StepContext

LARGEST = 1024**3  # bytes of a file that is fetched
_REMOTE = r"[A-Za-z0-9_./~@%+=,][A-Za-z0-9_./~@%+=,:-]*"

DECLARATION = StepDeclaration(
    "ssh.copy",
    "Copy one file to another host, or from it, with the system's own scp and your own ssh configuration.",
    Effect.UNKNOWN,
    parameters=(
        hosts.HOST,
        Field("send", "path", "the file on this host to copy to the other"),
        Field("fetch", "path", "the file on the other host to copy to this one, at most 1 GiB"),
        Field("to", "path", "where it goes; of fetch, a relative path is inside the run's files", required=True),
        hosts.CONNECT,
        Field("timeout", "duration", "after it scp is killed", default=120.0, min=0.001),
    ),
    results=(
        Field("path", "string", "where the file is now, on its host"),
        Field("bytes", "int", "its size"),
    ),
    observe="Compare the file's digest on both hosts, as with ssh.run and sha256sum.",
    shadow="A fetch with effect: read is done; else it is told what would be copied where.",
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


def run(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """One copy, or in a dry run the words for it. Raises StepError."""
    way = commands.one_of(arguments, "send", "fetch")
    told = f"{shown(arguments[way])} {'to' if way == 'send' else 'from'} {shown(arguments['host'])}"
    may = way == "fetch" and commands.may_run(context, arguments)
    if context.dry_run and not may:
        return StepResult(f"would copy {told}: {shown(arguments['to'])}", {})
    host = hosts.checked_host(arguments["host"])
    if way == "send":
        path, size = _send(context, host, arguments)
    else:
        path, size = _fetch(context, host, arguments)
    return StepResult(f"copied {told}: {path}, {size} bytes", {"path": path, "bytes": size})


def _send(context: StepContext, host: str, arguments: dict[str, Any]) -> tuple[str, int]:
    source = Path(arguments["send"]).absolute()  # with a colon and no slash before it, scp takes it for a host
    try:
        size = source.stat().st_size
    except OSError as error:
        raise unexpected(f"{source}: {error.strerror}", "Name the file to send") from None
    _copy(context, arguments, str(source), _there(host, arguments["to"]))
    return str(arguments["to"]), size


def _fetch(context: StepContext, host: str, arguments: dict[str, Any]) -> tuple[str, int]:
    """By way of a name beside it, so that half a file never stands where a whole one is looked for."""
    from runbook.steps.run_files import place_for

    target = place_for(context.folder, arguments["to"])
    partial = target.with_name(f".{target.name}.partial")
    try:
        partial.unlink(missing_ok=True)
        partial.touch(mode=0o600)
        _copy(context, arguments, _there(host, arguments["fetch"]), str(partial))
        size = partial.stat().st_size
        partial.replace(target)
    except OSError as error:
        raise unexpected(f"{target}: {error.strerror}") from None
    finally:
        partial.unlink(missing_ok=True)
    return str(target), size


def _there(host: str, path: str) -> str:
    """Old and new scp read odd characters in different ways, so there are none. Raises StepError."""
    import re

    if not re.fullmatch(_REMOTE, path):
        hint = "On the other host use letters, digits and . _ / ~ @ % + = , : - only, or ssh.run with input"
        raise unexpected(f"{shown(path)} cannot be copied over ssh with certainty", hint)
    user, _, name = host.rpartition("@")
    name = f"[{name}]" if ":" in name else name
    return f"{user}@{name}:{path}" if user else f"{name}:{path}"


def _copy(context: StepContext, arguments: dict[str, Any], source: str, target: str) -> None:
    from runbook.steps.process import Command, run_command, small_environment

    seconds = context.left(arguments["timeout"])
    argv = ["scp", "-q", *hosts.options(min(arguments["connect_timeout"], seconds)), "--", source, target]
    ended = run_command(Command(argv, small_environment({}, "SSH_AUTH_SOCK"), largest=LARGEST), seconds)
    if ended.code == hosts.OWN_FAILURE:
        hosts.refuse_own_failure(arguments["host"], ended)
    commands.judged("scp", ended, [0], seconds)
