"""Every step type by name: validation, help and reference are drawn from here. Light, as ``validate`` loads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from runbook.playbook.model import Effect, Field, StepDeclaration

if TYPE_CHECKING:
    from types import ModuleType

    from runbook.steps.extensions import Extension

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
    observe="It changes nothing.",
    shadow="It is done as in a real run.",
    example="""\
- id: before
  uses: raft.snapshot       # snapshot.json and state.snap are in the folder of this run
- uses: log.message
  with: { text: "${{ before.voters }} voters, and ${{ before.tolerance }} more may fail" }
""",
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

CHECK_QUORUM = StepDeclaration(
    "raft.check_quorum",
    "Prove that these peers may be removed one after the other, or refuse with the numbers.",
    Effect.READ,
    parameters=(Field("remove", "list", "the peers to remove", required=True),),
    results=(
        Field("removals", "list", "the removals in their safe order", items=_PEER),
        Field("fence", "map", "what they were planned on: leader, term, peers, removals"),
    ),
    observe="It changes nothing.",
    shadow="It is decided as in a real run.",
    example="""\
- id: dead
  uses: raft.find_dead
- id: quorum
  uses: raft.check_quorum   # refuses with the numbers where it is not safe
  with: { remove: "${{ dead.peers }}" }
""",
)

REMOVE_PEER = StepDeclaration(
    "raft.remove_peer",
    "Look, ask the guard again, write the intent, remove one peer, and look again until it is settled.",
    Effect.CHANGE,
    parameters=(Field("peer", "string", "id of the peer", required=True),),
    results=(Field("id", "string", "id of the peer"), Field("outcome", "string", "removed or already_gone")),
    observe="A look shows that the leader and every server that answers no longer list the peer.",
    shadow="The guard is asked for real; the removal is told and reckoned with in the steps that follow.",
    example="""\
- id: dead
  uses: raft.find_dead
- id: quorum
  uses: raft.check_quorum
  with: { remove: "${{ dead.peers }}" }
- id: remove
  for_each: quorum.removals    # one after the other, each looked at and guarded afresh
  uses: raft.remove_peer
  with: { peer: "${{ item.id }}" }
  retry: { times: 5, wait: 1s..30s, within: 6m, only_on: [no_leader, timeout, unavailable] }
""",
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
    observe="It changes nothing.",
    shadow="It is told what the numbers would be.",
    example="""\
- uses: raft.verify
  with: { within: 2m, successes: 3, watch_for: 70s }    # a leader adds living servers back once a minute
""",
)

RAFT = {step.name: step for step in (SNAPSHOT, FIND_DEAD, CHECK_QUORUM, REMOVE_PEER, VERIFY)}
GENERIC = {  # the module of each, which holds its DECLARATION and its run
    "http.request": "http_request",
    "command.run": "command_run",
    "ssh.run": "ssh_run",
    "ssh.copy": "ssh_copy",
    "file.write": "file_write",
    "wait.for": "wait_for",
    "wait.until": "wait_until",
    "assert": "assert_that",
    "set": "set_values",
    "approve": "approve",
    "notify.webhook": "notify_webhook",
    "log.message": "log_message",
    "playbook.run": "playbook_run",
}
NAMES = frozenset((*RAFT, *GENERIC))


def module_of(name: str) -> ModuleType:
    """Of a generic step. Loaded when it is asked for, as start-up is felt."""
    return import_module(f"runbook.steps.{GENERIC[name]}")


class Catalog(Mapping[str, StepDeclaration]):
    """Ours by name; a name that is not ours is looked for among what other packages offer, and only then."""

    @property
    def ours(self) -> Mapping[str, StepDeclaration]:
        """All that are not of another package, in the order in which they are told."""
        return {name: self[name] for name in (*RAFT, *GENERIC)}

    def __getitem__(self, name: str) -> StepDeclaration:
        if name in RAFT:
            return RAFT[name]
        if name in GENERIC:
            declaration: StepDeclaration = module_of(name).DECLARATION
            return declaration
        return self._extension(name).declaration

    def __iter__(self) -> Iterator[str]:
        """Ours, and every extension that loads: so all of them are loaded."""
        from runbook.steps.extensions import Extension, all_of

        yield from (*RAFT, *GENERIC)
        yield from (one.name for one in all_of(NAMES) if isinstance(one, Extension))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def why_not(self, name: str) -> str | None:
        """Why the step of this name, which another package offers, cannot be used."""
        from runbook.steps.extensions import Broken, one_of

        found = one_of(name, NAMES)
        return f"{found.origin} offers it, but {found.reason}" if isinstance(found, Broken) else None

    def _extension(self, name: str) -> Extension:
        from runbook.steps.extensions import Extension, one_of

        found = one_of(name, NAMES) if "." in name else None
        if not isinstance(found, Extension):
            raise KeyError(name)
        return found


CATALOG = Catalog()
