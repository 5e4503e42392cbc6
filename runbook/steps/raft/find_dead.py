"""``raft.find_dead``: several looks, and only who is dead in all of them is dead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.steps.base import PEER_FIELDS, Step, StepResult

if TYPE_CHECKING:
    from runbook.by_hand import HandView, Instruction
    from runbook.raft.liveness import Verdict
    from runbook.raft.model import ClusterView
    from runbook.steps.context import StepContext

FIND_DEAD = StepDeclaration(
    "raft.find_dead",
    "Look several times, and name the peers that show no sign of life from any vantage in any look.",
    Effect.READ,
    parameters=(
        Field("confirm_for", "duration", "how long a peer must show no sign of life", default=30.0, min=0),
        Field(
            "confirm_final_for",
            "duration",
            "the same where a removed server cannot come back with its data (etcd, Vault, OpenBao)",
            default=300.0,
            min=0,
        ),
        Field("looks", "int", "how many looks are spread over that time", default=3, min=2, max=100),
    ),
    results=(
        Field("peers", "list", "the dead peers", items=(*PEER_FIELDS, "verdict")),
        Field(
            "verdicts", "list", "every peer, with its verdict: alive, dead or unknown", items=(*PEER_FIELDS, "verdict")
        ),
        Field("count", "int", "how many they are"),
        Field("confirm_for", "duration", "how long each showed no sign of life"),
        Field("looks", "int", "over how many looks at least"),
    ),
    observe="It changes nothing.",
    shadow="It looks as in a real run.",
    example="""\
- id: dead
  uses: raft.find_dead
  with: { confirm_for: 30s, looks: 3 }    # dead in all three looks, or not dead
- uses: log.message
  if: dead.count > 0
  with: { text: "${{ dead.count }} servers are dead" }
""",
)


HOPE = 30.0  # seconds in which a process that listens may answer again
SETTLE = 90.0  # seconds more for a server of which nothing is proven yet: gossip takes 35-48 s


def find_dead(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """Look until every peer is proven alive or dead, or until the time for it is over."""
    from runbook.cluster_events import VerdictCriteria
    from runbook.raft.liveness import SILENT_MACHINE, Liveness
    from runbook.steps.raft.looking import look_until_decided, peer_item

    criteria = arguments["confirm_for"], arguments["looks"], arguments["confirm_final_for"]
    context.emit(VerdictCriteria(context.step, *criteria))
    began = context.clock.monotonic()

    def worth_waiting_for(view: ClusterView) -> list[Verdict]:
        _refuse_unknown_names(context, view)
        return _worth_waiting_for(context, context.clock.monotonic() - began)

    limit = max(context.state.criteria.longest, SILENT_MACHINE) + SETTLE
    look_until_decided(context, worth_waiting_for, within=limit)
    verdicts = list(context.state.verdicts().values())
    dead = [verdict for verdict in verdicts if verdict.liveness is Liveness.DEAD]
    output = {
        "peers": [peer_item(verdict) for verdict in dead],
        "verdicts": [peer_item(verdict) for verdict in verdicts],
        "count": len(dead),
        "confirm_for": context.state.confirm_for,
        "looks": arguments["looks"],
    }
    lines = [f"{v.peer.label} is {v.liveness.value}: {'; '.join(v.evidence)}" for v in (*dead, *_undecided(verdicts))]
    return StepResult("\n".join(lines) or "every server is alive", output)


def _worth_waiting_for(context: StepContext, waited: float) -> list[Verdict]:
    """Gossip makes up its mind late, and a silent machine must be so for longer. Of a process that listens or
    waits for its key, or whose machine answers for it, or that was never started, time alone proves nothing.
    """
    from runbook.raft.listeners import waiting_server
    from runbook.raft.probes import ProbeMeaning, probe_evidence

    confirm_for, newest = context.state.confirm_for, context.state.looks[-1]
    undecided = [verdict for verdict in _undecided(context.state.verdicts().values()) if not verdict.peer.never_started]
    if waited < min(confirm_for, HOPE):
        return undecided
    hopeless = (ProbeMeaning.LISTENS, ProbeMeaning.HOST_UP)
    return [
        verdict
        for verdict in undecided
        if waited < max(confirm_for, verdict.lasting) + SETTLE
        and probe_evidence(newest, verdict.peer).meaning not in hopeless
        and waiting_server(newest, verdict.peer) is None
        and not verdict.blind
    ]


def _refuse_unknown_names(context: StepContext, view: ClusterView) -> None:
    """A misspelt name is no word on any server, and must not pass for one."""
    from runbook.errors import RefusedError
    from runbook.raft.model import named
    from runbook.raft.removal import Refusal

    seen = view.best_configuration
    for name in sorted(context.state.confirmed_off):
        meant = named(seen, name) if seen else ()
        if len(meant) != 1:
            which = "no server is called" if not meant else f"{len(meant)} servers are called"
            labels = ", ".join(f"{peer.label} ({peer.id})" for peer in (seen.peers if seen else ()))
            sentence = f"--confirmed-off: {which} {name}; there are {labels}"
            raise RefusedError(Refusal("NoSuchServer", sentence, "Name one of these, or its id"))


def _undecided(verdicts: Iterable[Verdict]) -> list[Verdict]:
    from runbook.raft.liveness import Liveness

    return [verdict for verdict in verdicts if verdict.liveness is Liveness.UNKNOWN]


def find_dead_by_hand(view: HandView, arguments: dict[str, Any]) -> Iterator[Instruction]:
    """How to look, and what proves nothing."""
    from runbook.by_hand import Instruction, duration_in_words
    from runbook.raft import removal_by_hand

    looks, seconds = arguments["looks"], duration_in_words(arguments["confirm_for"])
    if view.kind in ("etcd", "vault", "openbao"):
        seconds = duration_in_words(arguments["confirm_final_for"])
    yield Instruction(
        f"Look {looks} times over {seconds}. Dead is only who is called failed or left (by etcd: unhealthy), or is not "
        "heard from, in every look, and whose port refuses connections while those of the living accept them. A server "
        "of which that is not sure may be frozen, or out of sight: it stays.",
        removal_by_hand.look_by_hand(view),
    )


STEPS = (Step(FIND_DEAD, find_dead, find_dead_by_hand),)
