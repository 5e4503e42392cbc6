"""``host.backup``: a copy of a folder on its host, beside it, before anything in it is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runbook.errors import unexpected
from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.steps.base import Step, StepResult
from runbook.steps.host_map import HOST, open_host
from runbook.text import is_known, shown

if TYPE_CHECKING:
    from runbook.steps.context import StepContext

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
        return StepResult(f"would copy the {shown(arguments['folder'] or 'data')} folder of {where} aside", {})
    from runbook.hosts.host import Running

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


STEPS = (Step(HOST_BACKUP, back_up),)
