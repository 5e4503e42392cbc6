"""``raft.collect_survivors``: what is left of a cluster without quorum, over its API and on its hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runbook.errors import RefusedError
from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.steps.base import Step, StepResult
from runbook.steps.raft.recovery_by_hand import follow_plan

if TYPE_CHECKING:
    from runbook.hosts.spec import HostSpec
    from runbook.raft.model import ClusterView
    from runbook.steps.context import StepContext

PEER_FIELDS = ("id", "address", "name", "log", "host")

PAUSE, SETTLE = 1.0, 60.0  # seconds between two looks, and for all of them

COLLECT_SURVIVORS = StepDeclaration(
    "raft.collect_survivors",
    "Look at a cluster without quorum, and on each host that is given: whose it is, where its data are, what runs.",
    Effect.READ,
    parameters=(
        Field(
            "hosts",
            "map",
            "by a server's name or id: local, or a map with ssh or local, port, sudo, data_folder and service; those "
            "of the inventory where none is given",
            default={},
        ),
    ),
    results=(
        Field("survivors", "list", "the servers that answer; host is null where none was given", items=PEER_FIELDS),
        Field("left_out", "list", "all others that any configuration lists", items=("id", "address", "name", "host")),
        Field("hosts_complete", "bool", "whether there is a host for each survivor"),
        Field("path", "string", "the file that holds the configuration of every reachable server"),
        Field("sha256", "string", "its digest"),
    ),
    observe="It changes nothing.",
    shadow="It is done as in a real run.",
    example="""\
- id: left
  uses: raft.collect_survivors
  with:
    hosts:
      s1: { ssh: admin@10.0.0.11, sudo: true, data_folder: /opt/consul, service: { unit: consul } }
      s2: { ssh: admin@10.0.0.12, sudo: true, data_folder: /opt/consul, service: { unit: consul } }
- uses: raft.plan_recovery
  with: { collected: "${{ left }}" }    # the servers without a host are named by a person, or it is refused
""",
)


def collect(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """Raises RefusedError where a host is not the survivor's or could not be recovered."""
    from runbook.hosts.spec import host_map, host_spec
    from runbook.raft.lost_quorum import left_out_of, peers_of, survivors_of
    from runbook.raft.recovery_files import files_of
    from runbook.raft.removal import Refusal
    from runbook.steps.raft.snapshot import write_evidence
    from runbook.steps.raft.survivor_hosts import specs_by_peer, survivor_fault

    view = _settled_look(context)
    path, digest = write_evidence(context, view)
    files = files_of(view.cluster.partition(":")[0])
    if isinstance(files, Refusal):
        raise RefusedError(files)
    survivors = survivors_of(view)
    known = {server: host_spec(server, told) for server, told in (arguments["hosts"] or {}).items()} or context.hosts
    specs = specs_by_peer(known, peers_of(view))
    for peer in survivors:
        fault = survivor_fault(specs[peer.id], peer, files) if peer.id in specs else None
        if fault is not None:
            raise RefusedError(fault)

    def row(peer: Any) -> dict[str, Any]:
        host = host_map(specs[peer.id]) if peer.id in specs else None
        return {"id": peer.id, "address": peer.address, "name": peer.label, "host": host}

    living = [{**row(peer), "log": [said.last_log_term, said.last_log_index]} for peer, said in survivors.items()]
    if files.forced:
        for told in living:
            told |= _how_it_was_started(specs[told["id"]]) if told["id"] in specs else {}
    left_out = [row(peer) for peer in left_out_of(view, survivors)]
    complete = bool(living) and all(peer.id in specs for peer in survivors)
    message = f"{len(living)} servers answer, {len(left_out)} do not; every configuration is in {path.name}"
    found = {"survivors": living, "left_out": left_out, "hosts_complete": complete}
    return StepResult(message, {**found, "path": str(path), "sha256": digest})


def _how_it_was_started(spec: HostSpec) -> dict[str, Any]:
    """Read while it runs, as it is started once with other settings later. Raises RefusedError where it cannot be."""
    from runbook.cluster.etcd.once import VARIABLES, config_file_of
    from runbook.hosts.once import OnceHost
    from runbook.raft.removal import Refusal

    host = OnceHost(spec)
    command = host.process_command(VARIABLES)
    path = config_file_of(command) if command else None
    config = host.read_file(path) if path else None
    if command is None or (path and config is None):
        what = f"its file {path} is not there" if path else "its process's options cannot be read"
        sentence = f"{spec.label}: how the server was started cannot be told: {what}"
        raise RefusedError(Refusal("CommandUnread", sentence, "Do it by hand: runbook recover plan has the commands"))
    return {"command": command.record(), "config": config}


def _settled_look(context: StepContext) -> ClusterView:
    """The first look that shows the same survivors as the one before it: a busy server may miss one, and must not be
    left out for that.
    """
    from runbook.clock import wait
    from runbook.raft.lost_quorum import survivors_of

    def ids() -> frozenset[str]:
        return frozenset(peer.id for peer in survivors_of(context.look()))

    wait(context.clock, ids, every=lambda *_: PAUSE, within=context.left(SETTLE), successes=2)
    return context.state.looks[-1]


STEPS = (Step(COLLECT_SURVIVORS, collect, follow_plan),)
