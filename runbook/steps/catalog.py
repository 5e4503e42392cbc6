"""Every step type, declared in one place: validation, help and reference are drawn from here."""

from __future__ import annotations

from collections.abc import Mapping

from runbook.playbook.model import Effect, Field, StepDeclaration

_PEER = ("id", "address", "name", "voter")

SNAPSHOT = StepDeclaration(
    "raft.snapshot",
    "Keep the configuration of every reachable server, and the cluster's own state snapshot with its digest verified.",
    Effect.READ,
    results=(
        Field("voters", "int", "voters in the leader's configuration"),
        Field("quorum", "int", "how many of them must agree"),
        Field("tolerance", "int", "how many more may fail"),
        Field("leader", "string", "id of the leader"),
        Field("fingerprint", "string", "what a fence compares"),
    ),
)

FIND_DEAD = StepDeclaration(
    "raft.find_dead",
    "Look several times, and name the peers that show no sign of life from any vantage in any look.",
    Effect.READ,
    parameters=(
        Field("confirm_for", "duration", "how long a peer must show no sign of life", default=30.0, min=0),
        Field("looks", "int", "how many looks are spread over that time", default=3, min=2, max=100),
    ),
    results=(
        Field("peers", "list", "the dead peers", items=_PEER),
        Field("count", "int", "how many they are"),
        Field("confirm_for", "duration", "how long each showed no sign of life"),
        Field("looks", "int", "over how many looks at least"),
    ),
)

CHECK_QUORUM = StepDeclaration(
    "raft.check_quorum",
    "Prove that these peers may be removed one after the other, or refuse with the numbers.",
    Effect.READ,
    parameters=(Field("remove", "list", "the peers to remove", required=True),),
    results=(
        Field("removals", "list", "the removals in their safe order", items=_PEER),
        Field("fence", "map", "what they were planned on: leader, term, peers, removals"),
    ),
)

REMOVE_PEER = StepDeclaration(
    "raft.remove_peer",
    "Look, ask the guard again, write the intent, remove one peer, and look again until it is settled.",
    Effect.CHANGE,
    parameters=(Field("peer", "string", "id of the peer", required=True),),
    results=(Field("id", "string", "id of the peer"), Field("outcome", "string", "removed or already_gone")),
)

VERIFY = StepDeclaration(
    "raft.verify",
    "Hold that every reachable server agrees several times in a row, and that nobody has been added back.",
    Effect.READ,
    parameters=(
        Field("within", "duration", "how long agreement may take", default=120.0, min=0),
        Field("successes", "int", "how many looks in a row must agree", default=3, min=1, max=100),
        Field("watch_for", "duration", "how long to watch for a peer that is added back", default=70.0, min=0),
    ),
    results=(
        Field("voters", "int", "voters in the end"),
        Field("tolerance", "int", "how many more may fail"),
    ),
)

CATALOG: Mapping[str, StepDeclaration] = {
    step.name: step for step in (SNAPSHOT, FIND_DEAD, CHECK_QUORUM, REMOVE_PEER, VERIFY)
}
