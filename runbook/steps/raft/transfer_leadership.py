"""``raft.transfer_leadership``: look, prove, ask, intent, one request, and look again until another server leads.

A resumed run and a second attempt are the same code: who is to lead, or led before, is looked for first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.steps.base import Step, StepResult

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runbook.by_hand import HandView, Instruction
    from runbook.errors import ClusterError
    from runbook.raft.leadership import TransferProof
    from runbook.raft.model import ClusterView, Peer
    from runbook.steps.context import StepContext

EVERY = 0.5  # seconds between two looks at who leads now
TRANSFER_LEADERSHIP = StepDeclaration(
    "raft.transfer_leadership",
    "Look, prove that another voter can lead, write the intent, ask for it once, and look again until it leads.",
    Effect.CHANGE,
    parameters=(
        Field(
            "to",
            "string",
            "who is to lead: its name, id or address; empty for the first by name of those with the furthest log, or, "
            "on Vault and OpenBao, whom they elect",
            default="",
        ),
        Field("within", "duration", "how long it may take until the new leader is seen", default=60.0, min=1, max=600),
    ),
    results=(
        Field("leader", "string", "name of who leads now"),
        Field("before", "string", "name of who led before"),
        Field("changed", "bool", "false where the wanted server led already"),
    ),
    observe="A look names the wanted leader, or, where none is named, another one than before.",
    shadow="The guards are asked as in a real run, and the new leader leads in the shadow alone; whom the cluster "
    "would elect by itself is not known.",
    example="""\
- uses: raft.transfer_leadership
  with: { to: s2 }          # nothing is done where s2 leads already
- uses: raft.check_stop
  with: { server: s1 }      # a follower by now, so no election when it stops
""",
)


def transfer_leadership(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """One attempt. Raises RefusedError, and ClusterError where nobody can tell what became of the request."""
    from runbook.steps.raft.declining import outlast_decline

    view = _look_until_proven(context, arguments["to"])
    done = _done_before(context, view, arguments["to"])
    if done is not None:
        return done
    if "never_worse" in context.policy.stated:
        view = outlast_decline(context, view)
    proof = _require_proof(context, view, arguments["to"])
    context.hold(context, TRANSFER_LEADERSHIP.name, proof.to)
    context.acquire(view)
    _guard(context, view)
    to = f" to {proof.to.label}" if proof.to else ""
    question = f"Move the leadership of {context.cluster.name} from {proof.before.label}{to}?"
    if context.permit(context, question, frozenset()):
        return transfer_leadership(context, arguments)  # a person took their time: all is looked at and asked again
    return _ask_and_look(context, proof, context.left(arguments["within"]))


def _look_until_proven(context: StepContext, name: str) -> ClusterView:
    """The newest look, after a few more where one may have missed somebody. Raises ClusterError without a leader."""
    from runbook.clock import wait
    from runbook.raft.leadership import MAY_PASS, may_transfer
    from runbook.raft.removal import Refusal
    from runbook.steps.raft.looking import PATIENCE, QUORUM_EVERY, look_again

    def decided() -> bool | None:
        view = look_again(context)
        made = may_transfer(view, name)
        missed = isinstance(made, Refusal) and made.code in MAY_PASS
        return None if missed and _done_before(context, view, name) is None else True

    wait(context.clock, decided, every=lambda *_: QUORUM_EVERY, within=context.left(PATIENCE))
    return context.state.looks[-1]


def _done_before(context: StepContext, view: ClusterView, name: str) -> StepResult | None:
    """Where the leadership is as it was wanted: by an earlier request of this run, or before it asked at all."""
    from runbook.raft.model import named

    leader, configuration = view.leader, view.configuration
    if leader is None or configuration is None:
        return None
    led_before = context.state.led_before.get((context.step, context.item))
    if name and named(configuration, name) == (leader,):
        moved = led_before is not None and leader not in named(configuration, led_before)
        return _moved(led_before or "", leader) if moved else _unmoved(leader)
    before = named(configuration, led_before) if led_before and not name else ()
    return _moved(before[0].label, leader) if len(before) == 1 and before[0] != leader else None


def _moved(before: str, leader: Peer) -> StepResult:
    output = {"leader": leader.label, "before": before, "changed": True}
    return StepResult(f"{leader.label} leads now, and {before} did before", output)


def _unmoved(leader: Peer) -> StepResult:
    output = {"leader": leader.label, "before": leader.label, "changed": False}
    return StepResult(f"{leader.label} leads already", output)


def _require_proof(context: StepContext, view: ClusterView, name: str) -> TransferProof:
    from runbook.cluster.port import transferring
    from runbook.errors import RefusedError
    from runbook.raft.leadership import may_transfer
    from runbook.raft.removal import Refusal

    transferring(context.cluster)
    proof = may_transfer(view, name)
    if isinstance(proof, Refusal):
        raise RefusedError(proof)
    return proof


def _guard(context: StepContext, view: ClusterView) -> None:
    """What the playbook states, as of every change (I16)."""
    from runbook.errors import RefusedError
    from runbook.raft.removal import refusal_over_max_changes, refusal_to_change
    from runbook.steps.raft.looking import count_voters

    so_far = context.state.changes_beside((context.step, context.item))
    start = context.state.before.margin if context.state.before else None
    reason = refusal_over_max_changes(context.policy, so_far) or refusal_to_change(
        view, count_voters(view), context.policy, start
    )
    if reason is not None:
        raise RefusedError(reason)


def _ask_and_look(context: StepContext, proof: TransferProof, within: float) -> StepResult:
    """Intent, one request, looks. However this ends, the record says what is known of it (I7)."""
    from runbook.changes import ChangeBegun, ChangeUnsettled
    from runbook.errors import ClusterError
    from runbook.label import Label

    key = context.step, context.item
    context.emit(ChangeBegun(*key, TRANSFER_LEADERSHIP.name))
    try:
        until = context.clock.monotonic() + within
        error = _send(context, proof, within)
        if context.dry_run and proof.to is None:
            told = f"another server would lead than {proof.before.label}: which one, only the cluster's election tells"
            return StepResult(told, {"before": proof.before.label, "changed": True}, Label.UNKNOWN)
        return _moved(proof.before.label, _wait_for_leader(context, proof, until, error))
    except Exception as stop:  # the step's time may be over in here too
        surely_not = isinstance(stop, ClusterError) and not _leaves_open(stop)
        if not context.dry_run and not surely_not:
            context.emit(ChangeUnsettled(*key, str(stop)))
        raise


def _leaves_open(error: ClusterError) -> bool:
    from runbook.errors import ErrorKind
    from runbook.steps.raft.settling import UNWRITTEN

    return error.kind not in (*UNWRITTEN, ErrorKind.NOT_A_PEER)


def _send(context: StepContext, proof: TransferProof, within: float) -> ClusterError | None:
    """Nothing, or why the answer leaves open what was done. Raises ClusterError where it is sure that nothing was."""
    from runbook.cluster.port import transferring
    from runbook.errors import ClusterError, ErrorKind
    from runbook.steps.raft.settling import FRESH

    if context.clock.monotonic() > context.state.looks[-1].taken_at + FRESH:
        what = f"not sent: the look that allowed it began more than {FRESH:g} s ago"
        raise ClusterError(ErrorKind.UNAVAILABLE, what, "Is the leader slow to answer, or the disk of the record?")
    try:
        transferring(context.cluster).transfer_leadership(proof.to, within=within)
    except ClusterError as error:
        if not _leaves_open(error):
            raise
        return error
    return None


def _wait_for_leader(context: StepContext, proof: TransferProof, until: float, error: ClusterError | None) -> Peer:
    """Who leads now. Raises ClusterError where that is not who was asked for, or nobody, at the limit."""
    from runbook.clock import wait
    from runbook.errors import ClusterError, ErrorKind

    def led() -> Peer | None:
        leader = context.look().leader
        wanted = leader is not None and (leader.id == proof.to.id if proof.to else leader.id != proof.before.id)
        return leader if wanted else None

    left = max(0.0, until - context.clock.monotonic())
    leader = wait(context.clock, led, every=lambda *_: EVERY, within=left)
    if leader is not None:
        return leader
    now = context.state.looks[-1].leader
    wanted = f"{proof.to.label} does not lead" if proof.to else f"nobody but {proof.before.label} leads"
    what = f"{wanted} in time; {f'{now.label} does' if now else 'nobody is seen to lead'}"
    kind = ErrorKind.AMBIGUOUS if error else ErrorKind.TIMEOUT
    advice = "Run runbook diagnose, then resume this run: it looks first"
    raise ClusterError(kind, f"{error}; {what}" if error else what, advice)


def transfer_by_hand(view: HandView, arguments: dict[str, Any]) -> Iterator[Instruction]:
    """By the product's own command, and a look afterwards."""
    from runbook.by_hand import Instruction, in_words, placeholder, shell_word
    from runbook.raft.product_commands import TRANSFER
    from runbook.raft.removal_by_hand import product_of

    name = arguments["to"]
    found = next((one for one in view.servers.values() if name in (one.id, one.name, one.address)), None)
    target = shell_word(found.id if found else placeholder("NEW-LEADER-ID"))
    whom = in_words(name) if name else "a voter that is alive"
    yield Instruction(f"Let {whom} lead.", (TRANSFER[view.kind].format(target),))
    yield Instruction("See who leads now.", (product_of(view).tools[0].peers,))


STEPS = (Step(TRANSFER_LEADERSHIP, transfer_leadership, transfer_by_hand),)
