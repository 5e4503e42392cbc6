"""``raft.write_peers``: put peers.json where a stopped survivor reads it once when it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runbook.errors import unexpected
from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.steps.base import Step, StepResult
from runbook.steps.host_map import HOST, open_host
from runbook.text import is_known, shown

if TYPE_CHECKING:
    from runbook.steps.context import StepContext

WRITE_PEERS = StepDeclaration(
    "raft.write_peers",
    "Write the peers.json of a confirmed plan on the host of a stopped survivor: whole, on disk, with the right owner.",
    Effect.CHANGE,
    parameters=(
        HOST,
        Field("plan", "map", "the result of raft.confirm_recovery; what is in the file stands there", required=True),
    ),
    results=(
        Field("path", "string", "where the file is, on that host"),
        Field("changed", "bool", "false where it was so already"),
    ),
    observe="The file on that host holds exactly this text.",
    shadow="Nothing is written; where it would be is told.",
    example="""\
- id: left
  uses: raft.collect_survivors
- id: plan
  uses: raft.plan_recovery
  with: { collected: "${{ left }}" }
- id: confirmed
  uses: raft.confirm_recovery
  with: { plan: "${{ plan }}" }
- for_each: confirmed.survivors
  uses: raft.write_peers              # on every survivor, before any of them is started
  with: { host: "${{ item.host }}", plan: "${{ confirmed }}" }
""",
)

MODE = "0640"


def write_peers(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """Raises StepError where the server runs, and where the folder is not one that the file would be read in."""
    if context.dry_run:
        where = shown(arguments["host"]["server"]) if is_known(arguments["host"]) else "each survivor"
        return StepResult(f"would write peers.json on the host of {where}", {})
    from runbook.hosts.host import Running
    from runbook.steps.raft.confirm_recovery import require_confirmed

    plan, host = arguments["plan"], open_host(arguments["host"])
    require_confirmed(context, plan)
    raft = f"{host.spec.data_folder}/{plan['raft_folder']}"
    path, info = f"{raft}/peers.json", f"{raft}/peers.info"
    state = host.service()
    if state.running is Running.RUNS:
        raise unexpected(f"{host.spec.label}: the server runs ({state.words})", "Stop every survivor first")
    if host.kind_of(info) != "file":
        raise unexpected(f"{host.spec.label}: there is no {info}", "Correct data_folder")
    output = {"path": path, "changed": host.read_file(path) != plan["peers_json"]}
    if output["changed"]:
        host.write_file(path, plan["peers_json"], mode=MODE, like=info)
    return StepResult(f"{host.spec.label}: {path}", output)


STEPS = (Step(WRITE_PEERS, write_peers),)
