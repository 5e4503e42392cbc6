"""What can happen in a run and its steps. Journal, log and screen all speak these words, so they cannot disagree (I12).

What is seen and held of a cluster is in :mod:`runbook.cluster_events`; removals and other changes have modules of their
own, with what becomes of each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, field
from typing import Any, ClassVar

from runbook.dataclass import dataclass


@dataclass(frozen=True, eq=False, repr=False)
class Event:
    """One thing that happened; ``kind`` is its name in the journal, in the log and in every promise to a reader.

    What compares and prints all of them stands here once: made for each, it is a third of what loading them takes.
    """

    kind: ClassVar[str]

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"

    @property
    def durable(self) -> bool:
        """Whether a change or a resumed run rests on it: what is not reaches the disk with the next that is."""
        return True

    def record(self) -> dict[str, Any]:
        """The event as plain data for the journal."""
        return {"kind": self.kind, **asdict(self)}


FORMAT = 2  # of the journal: a run that is not over is gone on with only by a version that writes the same

Emit = Callable[[Event], None]  # returns when the event is safe on disk


@dataclass(frozen=True, eq=False, repr=False)
class StepEvent(Event):
    """``step`` is its place in the run."""

    step: str


@dataclass(frozen=True, eq=False, repr=False)
class RunStarted(Event):
    """``sources`` says where each param came from; ``path`` is the playbook's file, for those beside it.

    ``version`` of the program wrote this record, in this ``format``. ``lock_holds_for`` says, of a run that may change
    something, against whose runs its lock protects. ``inventory`` is the file that names its cluster, where one does.
    ``steps`` are those of the playbook, in their order, without what is inside of them.
    ``plan`` has the ``digest`` and the ``file`` of the plan that it is held to, where it was begun with one.
    ``unattended``: nobody watches it.
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
    steps: tuple[str, ...] = ()
    plan: Mapping[str, str] = field(default_factory=dict)
    unattended: bool = False


@dataclass(frozen=True, eq=False, repr=False)
class RunResumed(Event):
    """Somebody goes on with a run that had stopped. ``torn``: a crash had left a last line that was cut off."""

    kind = "run.resumed"
    who: str
    cluster: str
    torn: bool


@dataclass(frozen=True, eq=False, repr=False)
class RunAcknowledged(Event):
    """Somebody has looked at what a finished run did: its cool-down is over."""

    kind = "run.acknowledged"
    who: str
    comment: str


@dataclass(frozen=True, eq=False, repr=False)
class StepStarted(StepEvent):
    """``effect`` is read, change or unknown. Nothing is changed yet: that is for ``change.begun`` to say."""

    kind = "step.started"
    uses: str
    effect: str

    @property
    def durable(self) -> bool:
        return self.effect != "read"


@dataclass(frozen=True, eq=False, repr=False)
class Waiting(StepEvent):
    """For so many ``seconds``, or at most. Where the length of the ``whole`` is known, so is what has ``passed``."""

    kind = "step.waiting"
    durable = False
    seconds: float
    reason: str
    passed: float | None = None
    whole: float | None = None


@dataclass(frozen=True, eq=False, repr=False)
class AttemptFailed(StepEvent):
    """``item`` counts from 0; it is None where the step has no ``for_each``."""

    kind = "attempt.failed"
    attempt: int
    error_kind: str
    message: str
    item: int | None = None


@dataclass(frozen=True, eq=False, repr=False)
class ItemCompleted(StepEvent):
    """One round has ended well. ``item`` counts from 0, in the list as ``for_each`` gives it; ``undo`` as a step's."""

    kind = "item.completed"
    item: int
    message: str
    output: Mapping[str, Any]
    undo: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class ItemFailed(StepEvent):
    """One round has failed, and the step goes on with the others. ``name`` tells which it was."""

    kind = "item.failed"
    item: int
    name: str
    message: str
    code: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class Approved(StepEvent):
    """A person agreed to the changes of this run, or to what a step asked. ``how``: at the terminal, or by --yes."""

    kind = "change.approved"
    who: str
    how: str = ""
    question: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class StepCompleted(StepEvent):
    """``undo`` tells a person how to take the change back by hand; nothing acts on it (decision 0003)."""

    kind = "step.completed"
    message: str
    output: Mapping[str, Any]
    undo: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class StepFailed(StepEvent):
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


@dataclass(frozen=True, eq=False, repr=False)
class PlaybookEntered(StepEvent):
    """Another playbook is run inside this step; its steps follow, their names behind the step's."""

    kind = "playbook.entered"
    path: str
    digest: str
    params: Mapping[str, Any]


@dataclass(frozen=True, eq=False, repr=False)
class StepSkipped(StepEvent):
    kind = "step.skipped"
    message: str


@dataclass(frozen=True, eq=False, repr=False)
class RunCompleted(Event):
    kind = "run.completed"
    message: str


@dataclass(frozen=True, eq=False, repr=False)
class RunRefused(StepEvent):
    kind = "run.refused"
    code: str
    message: str


@dataclass(frozen=True, eq=False, repr=False)
class RunFailed(StepEvent):
    """``detail`` is a traceback, kept in the journal when somebody asked for it, and shown to nobody."""

    kind = "run.failed"
    error_kind: str
    message: str
    detail: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class RunInterrupted(StepEvent):
    kind = "run.interrupted"
    message: str
