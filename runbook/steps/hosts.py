"""``host.service``: stop or start a server on its host, and see that it is so. ``host.backup``: a copy of a folder
there, beside it, before anything in it is touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from runbook.errors import ErrorKind, StepError, unexpected
from runbook.hosts.spec import HOST, OF_INVENTORY, chosen_host
from runbook.label import Label
from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.steps.base import Step, StepResult
from runbook.text import is_known, shown

if TYPE_CHECKING:
    from runbook.by_hand import HandView, Instruction
    from runbook.hosts.host import ServiceState
    from runbook.steps.context import StepContext

HOST_SERVICE = StepDeclaration(
    "host.service",
    "Stop or start the server on a host, by its systemd unit or by commands of your own, and see there that it is so.",
    Effect.CHANGE,
    parameters=(
        OF_INVENTORY,
        Field("server", "string", "whose host it is; the host says it too"),
        Field("do", "enum", "stop or start", required=True, choices=("stop", "start")),
        Field(
            "plan",
            "map",
            "the result of raft.confirm_recovery: a stop then asks again that quorum is lost, a start that nobody who "
            "was left out is back",
        ),
        Field("within", "duration", "how long it may take to be so", default=60.0, min=0.001, max=3600.0),
    ),
    results=(
        Field("running", "bool", "whether it runs in the end"),
        Field("changed", "bool", "false where it was so already"),
    ),
    observe="On the host: systemctl is-active, and whether any process has the data folder open.",
    shadow="It is told what would be done where.",
    example="""\
- uses: host.service
  with:
    do: stop
    host:
      server: s1
      ssh: admin@s1.example.org     # or local: true
      sudo: true                    # by sudo -n, which never asks
      data_folder: /opt/consul
      service: { unit: consul }     # or stop and start: commands of your own
""",
)

POLL = 0.5  # seconds between two looks at a service


def control_service(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """Nothing is done where it is so already. Raises StepError, or RefusedError where quorum may come back."""
    from runbook.clock import wait
    from runbook.hosts.host import Running, open_host

    stops = arguments["do"] == "stop"
    if not is_known((arguments["host"], arguments["server"])):
        return StepResult(f"would {arguments['do']} the server on each host", {}, Label.UNKNOWN)
    told = chosen_host(context.hosts, arguments["server"] or "", arguments["host"])
    if context.dry_run:
        return StepResult(f"would {arguments['do']} the server on {shown(told['server'])}", {}, Label.UNKNOWN)
    host = open_host(told)
    wanted = Running.STOPPED if stops else Running.RUNS
    state = host.service()
    if state.running is wanted:
        return _result(f"{host.spec.label}: it was so already, {state.words}", wanted, changed=False)
    if arguments["plan"] is not None:
        from runbook.steps.raft.recovery import refuse_first_start, refuse_unless_still_lost

        (refuse_unless_still_lost if stops else refuse_first_start)(context, arguments["plan"])
    (host.stop if stops else host.start)()

    def done() -> ServiceState | None:
        nonlocal state
        state = host.service()
        return state if state.running is wanted else None

    if wait(context.clock, done, every=lambda *_: POLL, within=context.left(arguments["within"])) is None:
        what = f"{host.spec.label}: {arguments['do']} was asked for, and after {arguments['within']:g} s {state.words}"
        raise StepError(ErrorKind.TIMEOUT, what, "Look at its log on that host")
    return _result(f"{host.spec.label}: {state.words}", wanted, changed=True)


def _result(message: str, now: Any, *, changed: bool) -> StepResult:
    return StepResult(message, {"running": now.value == "runs", "changed": changed})


HOST_BACKUP = StepDeclaration(
    "host.backup",
    "Copy a folder of a stopped server on its host, with owners and modes, to a name of this run beside it.",
    Effect.CHANGE,
    parameters=(
        HOST,
        Field("folder", "string", "below the data folder, such as raft; the whole data folder if nothing is said"),
    ),
    results=(Field("path", "string", "where the copy is, on that host"),),
    observe="The copy is there under its name; an unfinished one has another name.",
    shadow="It is told what would be copied where.",
    example="""\
- id: copy
  uses: host.backup
  with:
    folder: raft
    host: { server: s1, local: true, data_folder: /opt/consul, service: { unit: consul } }
- uses: log.message
  with: { text: "the copy is ${{ copy.path }}" }      # nothing ever deletes it
""",
)


def back_up(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """One copy. Raises StepError, also where the server runs: what is copied under it need not fit together."""
    if context.dry_run:
        where = shown(arguments["host"]["server"]) if is_known(arguments["host"]) else "each host"
        told = f"would copy the {shown(arguments['folder'] or 'data')} folder of {where} aside"
        return StepResult(told, {}, Label.UNKNOWN)
    from runbook.hosts.host import Running, open_host

    host = open_host(arguments["host"])
    below = str(arguments["folder"] or "").strip("/")
    if ".." in below.split("/"):
        raise unexpected(f"the folder {shown(below)} leads out of the data folder")
    source = f"{host.spec.data_folder}/{below}".rstrip("/")
    state = host.service()
    if state.running is Running.RUNS:
        raise unexpected(f"{host.spec.label}: the server runs ({state.words})", "Stop it first")
    if host.kind_of(source) != "folder":
        raise unexpected(f"{host.spec.label}: {source} is no folder", "Correct data_folder")
    target = f"{source}.before-{context.folder.name}"
    host.copy_aside(source, target)
    return StepResult(f"{host.spec.label}: {target}", {"path": target})


def control_by_hand(_view: HandView, arguments: dict[str, Any]) -> Iterator[Instruction]:
    """By its unit, or by its own commands."""
    from runbook.by_hand import Instruction, in_words, shell_words

    host, verb = arguments["host"], arguments["do"]
    service = host.get("service") if isinstance(host, dict) else None
    service = service if isinstance(service, dict) else {}
    own = service.get(verb)
    command = shell_words(own) if own else f"systemctl {verb} {shell_words(service.get('unit') or '<UNIT>')}"
    sudo = "sudo " if isinstance(host, dict) and host.get("sudo") else ""
    where = _where(host or arguments["server"] or "its host")
    yield Instruction(f"{in_words(verb)} the server on {where}, and see that it is so.", (f"{sudo}{command}",))


def back_up_by_hand(_view: HandView, arguments: dict[str, Any]) -> Iterator[Instruction]:
    """A copy beside it."""
    from runbook.by_hand import Instruction, shell_word

    host = arguments["host"]
    data = host.get("data_folder") if isinstance(host, dict) else None
    folder = "/".join(filter(None, (str(data or "<DATA-FOLDER>"), str(arguments["folder"] or "").strip("/"))))
    yield Instruction(
        f"On {_where(host)}, once the server is stopped, keep a copy.",
        (f"cp -a {shell_word(folder)} {shell_word(f'{folder}.before-recovery')}",),
    )


def _where(host: Any) -> str:
    from runbook.by_hand import in_words

    return in_words(host.get("ssh") or host.get("server") if isinstance(host, dict) else host)


STEPS = (Step(HOST_SERVICE, control_service, control_by_hand), Step(HOST_BACKUP, back_up, back_up_by_hand))
