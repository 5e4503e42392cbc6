"""``raft.verify``: everybody agrees, several looks in a row, and nobody has been added back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.steps.base import Step, StepResult

if TYPE_CHECKING:
    from runbook.by_hand import HandView, Instruction
    from runbook.raft.model import ClusterView
    from runbook.steps.context import StepContext

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
    shadow="It looks at the shadow, and its waits take no time.",
    example="""\
- uses: raft.verify
  with: { within: 2m, successes: 3, watch_for: 70s }    # a leader adds living servers back once a minute
""",
)


def verify(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """Wait for agreement; then, only if something was removed, watch past the leader's next reconcile."""
    from runbook.steps.raft.looking import require_leader_configuration, tolerance

    view = _wait_for_agreement(context, arguments["within"], arguments["successes"])
    if context.state.gone:
        view = _watch_for_return(context, arguments["watch_for"], view)
    output = {"voters": len(require_leader_configuration(view).voters), "tolerance": tolerance(view)}
    return StepResult(f"{output['voters']} voters, failure tolerance {output['tolerance']}, all servers agree", output)


def _wait_for_agreement(context: StepContext, within: float, successes: int) -> ClusterView:
    from runbook.clock import wait
    from runbook.errors import ClusterError, ErrorKind
    from runbook.raft.quorum import servers_agree
    from runbook.steps.raft.settling import PAUSE

    def agreed() -> bool | None:
        view = context.look()
        _raise_if_added_back(context, view)
        return servers_agree(view) or None

    def pause(_waited: float, held: int) -> float:
        return PAUSE / 4 if held else PAUSE

    if not wait(context.clock, agreed, every=pause, within=within, successes=successes):
        what = f"the servers did not agree {successes} times in a row within {within:g} s"
        raise ClusterError(ErrorKind.TIMEOUT, what, "Run runbook diagnose")
    return context.state.looks[-1]


def _watch_for_return(context: StepContext, seconds: float, view: ClusterView) -> ClusterView:
    """Gossip that still calls a removed server alive makes the leader add it back at its 60 s reconcile."""
    from runbook.events import Waiting
    from runbook.steps.raft.looking import look_again

    until = context.clock.monotonic() + seconds
    while (left := until - context.clock.monotonic()) > 0:
        pause = min(10.0, left)
        told = "watching that no removed server is added back"
        context.emit(Waiting(context.step, round(left, 1), told, round(seconds - left, 1), seconds))
        context.clock.sleep(pause)
        view = look_again(context)
        _raise_if_added_back(context, view)
    return view


def _raise_if_added_back(context: StepContext, view: ClusterView) -> None:
    """The finding ``ZombiePeer``: gossip called it alive, so the leader added it: docs/servers/raft.md#reconcile."""
    from runbook.errors import ClusterError, ErrorKind

    back = [p.label for p in view.configuration.peers if p.id in context.state.gone] if view.configuration else []
    if back:
        what = f"ZombiePeer: {', '.join(back)} was removed and the leader has added it back, as its gossip is alive"
        raise ClusterError(ErrorKind.REJECTED, what, "Its process runs: stop it, wait for gossip, then run again")


def verify_by_hand(view: HandView, arguments: dict[str, Any]) -> Iterator[Instruction]:
    """Looks, now and later."""
    from runbook.raft import removal_by_hand

    yield from removal_by_hand.verify_by_hand(view, arguments["watch_for"])


STEPS = (Step(VERIFY, verify, verify_by_hand),)
