"""What can happen in a run. Journal, log and screen all speak these words, so they cannot disagree (I12)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from runbook.raft.model import ClusterView


@dataclass(frozen=True)
class Event:
    """One thing that happened; ``kind`` is its name in the journal, in the log and in every promise to a reader."""

    kind: ClassVar[str]

    @property
    def durable(self) -> bool:
        """Whether a change or a resumed run rests on it: what is not reaches the disk with the next that is."""
        return True

    def record(self) -> dict[str, Any]:
        """The event as plain data for the journal."""
        return {"kind": self.kind, **asdict(self)}


FORMAT = 2  # of the journal: a run that is not over is gone on with only by a version that writes the same

Emit = Callable[[Event], None]  # returns when the event is safe on disk


@dataclass(frozen=True)
class _StepEvent(Event):
    """``step`` is its place in the run."""

    step: str


@dataclass(frozen=True)
class RunStarted(Event):
    """``sources`` says where each param came from; ``path`` is the playbook's file, for those beside it.

    ``version`` of the program wrote this record, in this ``format``. ``lock_holds_for`` says, of a run that may change
    something, against whose runs its lock protects. ``inventory`` is the file that names its cluster, where one does.
    """

    kind = "run.started"
    run: str
    playbook: str
    digest: str
    cluster: str
    who: str
    dry_run: bool
    params: Mapping[str, Any]
    sources: Mapping[str, str] = field(default_factory=dict)
    path: str = ""
    version: str = ""
    format: int = FORMAT
    lock_holds_for: str = ""
    inventory: str = ""


@dataclass(frozen=True)
class RunResumed(Event):
    """Somebody goes on with a run that had stopped. ``torn``: a crash had left a last line that was cut off."""

    kind = "run.resumed"
    who: str
    cluster: str
    torn: bool


@dataclass(frozen=True)
class RunAcknowledged(Event):
    """Somebody has looked at what a finished run did: its cool-down is over."""

    kind = "run.acknowledged"
    who: str
    comment: str


@dataclass(frozen=True)
class StepStarted(_StepEvent):
    """``effect`` is read, change or unknown. Nothing is changed yet: that is for ``change.begun`` to say."""

    kind = "step.started"
    uses: str
    effect: str

    @property
    def durable(self) -> bool:
        return self.effect != "read"


@dataclass(frozen=True)
class Looked(_StepEvent):
    """One look at the cluster, as the verdicts it led to, by peer label.

    ``undecided`` holds the sign of trouble of each voter that is not proven alive, ``settled_by`` what would settle it.
    ``view`` is what was seen, for this process alone: in the journal it would prove nothing to the next.
    """

    kind = "cluster.looked"
    durable = False
    leader: str | None
    voters: int
    live_voters: int
    verdicts: Mapping[str, str]
    undecided: Mapping[str, str] = field(default_factory=dict)
    settled_by: Mapping[str, str] = field(default_factory=dict)
    view: ClusterView | None = field(default=None, compare=False, repr=False)

    def record(self) -> dict[str, Any]:
        told = {name: value for name, value in vars(self).items() if name != "view"}
        return {"kind": self.kind, **told, "verdicts": dict(self.verdicts)}


@dataclass(frozen=True)
class VerdictCriteria(_StepEvent):
    """From here on dead is who looked dead for so many seconds, longer where a removal is final, in so many looks."""

    kind = "verdict.criteria"
    confirm_for: float
    looks: int
    confirm_final_for: float = 300.0


@dataclass(frozen=True)
class Waiting(_StepEvent):
    kind = "step.waiting"
    durable = False
    seconds: float
    reason: str


@dataclass(frozen=True)
class AttemptFailed(_StepEvent):
    """``item`` counts from 0; it is None where the step has no ``for_each``."""

    kind = "attempt.failed"
    attempt: int
    error_kind: str
    message: str
    item: int | None = None


@dataclass(frozen=True)
class Approved(_StepEvent):
    """A person agreed to the changes of this run, or to what a step asked. ``how``: at the terminal, or by --yes."""

    kind = "change.approved"
    who: str
    how: str = ""
    question: str = ""


@dataclass(frozen=True)
class _PeerEvent(_StepEvent):
    """What becomes of one removal, in the order in which it may."""

    peer: str


@dataclass(frozen=True)
class RemovalRequested(_PeerEvent):
    """The intent: on disk before the request leaves."""

    kind = "removal.requested"
    address: str
    name: str
    voters_after: int


@dataclass(frozen=True)
class RemovalWouldBeRequested(RemovalRequested):
    """A dry run stops here: what it would have sent."""

    kind = "removal.would_be_requested"


@dataclass(frozen=True)
class RemovalConfirmed(_PeerEvent):
    """The leader and every server that answers list it no more; ``message`` is where only a person could tell."""

    kind = "removal.confirmed"
    name: str
    message: str = ""


@dataclass(frozen=True)
class AlreadyGone(_PeerEvent):
    """Somebody else was faster: the cluster's own clean-up, or a person."""

    kind = "removal.already_gone"
    name: str


@dataclass(frozen=True)
class RemovalFailed(_PeerEvent):
    """The request surely changed nothing: it never left, or was answered with a no."""

    kind = "removal.failed"
    message: str


@dataclass(frozen=True)
class RemovalStillListed(_PeerEvent):
    """No answer came, and longer than servers hold a request nobody has seen it done: it is taken for lost.

    Nobody can promise it, so it is no :class:`RemovalFailed`: should the peer go yet, it was this run's doing.
    """

    kind = "removal.still_listed"
    name: str
    message: str


@dataclass(frozen=True)
class RemovalUnsettled(_PeerEvent):
    """Nobody knows whether it was done; only a look can tell."""

    kind = "removal.unsettled"
    message: str


@dataclass(frozen=True)
class StepCompleted(_StepEvent):
    """``undo`` tells a person how to take the change back by hand; nothing acts on it (decision 0003)."""

    kind = "step.completed"
    message: str
    output: Mapping[str, Any]
    undo: str = ""


@dataclass(frozen=True)
class StepFailed(_StepEvent):
    """``outcome`` is failed or refused; where it ``goes_on`` all the same, nothing in the step is done again.

    ``output`` is the result of one that has failed for some items and not for others, ``undo`` how these are taken
    back. What ``on_failure`` and ``finally`` do comes after this.
    """

    kind = "step.failed"
    outcome: str
    message: str
    goes_on: bool = False
    code: str = ""
    output: Mapping[str, Any] = field(default_factory=dict)
    undo: str = ""


@dataclass(frozen=True)
class PlaybookEntered(_StepEvent):
    """Another playbook is run inside this step; its steps follow, their names behind the step's."""

    kind = "playbook.entered"
    path: str
    digest: str
    params: Mapping[str, Any]


@dataclass(frozen=True)
class StepSkipped(_StepEvent):
    kind = "step.skipped"
    message: str


@dataclass(frozen=True)
class RunCompleted(Event):
    kind = "run.completed"
    message: str


@dataclass(frozen=True)
class RunRefused(_StepEvent):
    kind = "run.refused"
    code: str
    message: str


@dataclass(frozen=True)
class RunFailed(_StepEvent):
    """``detail`` is a traceback, kept in the journal when somebody asked for it, and shown to nobody."""

    kind = "run.failed"
    error_kind: str
    message: str
    detail: str = ""


@dataclass(frozen=True)
class RunInterrupted(_StepEvent):
    kind = "run.interrupted"
    message: str
