"""Every error that one part of this package raises and another catches; whoever calls runbook catches RunbookError.

::

    RunbookError                what went wrong and where (sentence), what to do next (next_action), and its kind
    ├── ClusterError            an answer of a cluster that is no answer
    │   └── NoAnswerError       no HTTP reply came; how far the request got
    ├── StepError               a step that did not do what it was for
    │   └── TimeIsUpError       the step's own timeout is over
    ├── RefusedError            a guard said no; refused is not failed
    ├── PlaybookError           every error in a playbook
    ├── ParamError              every param that does not fit
    ├── ExpressionError         an expression cannot be computed on the data at hand
    ├── InvalidValueError       a value does not fit its declared field
    ├── NoPlaybookError         no playbook has this name
    ├── NoStepError             no step type has this name, or its extension cannot be used
    ├── SettingsError           the environment does not say which cluster
    ├── SecretError             a secret cannot be had
    ├── NotStartedError         something outside the cluster forbids the run
    ├── LockedError             another run holds the cluster
    ├── JournalError            the journal cannot be written, or was changed
    │   └── AtWorkError         another process writes it now
    ├── TransitionError         the record holds an event that cannot follow the ones before it
    ├── NoRunError              no run, or more than one, has this name
    ├── StopError               the run cannot be stopped from here
    └── LabError                a lab cannot do what it was asked

A kind is what a retry, an exit code and a caller decide by; nobody matches on the text. What stays within one package,
as a signal from one of its parts to another, is no error in this sense and stands there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from runbook.dataclass import dataclass

if TYPE_CHECKING:  # their modules are not light, and every command loads this one
    from runbook.raft.model import Reach
    from runbook.raft.removal import Refusal


class ErrorKind(Enum):
    """The class of an error: what a retry, an exit code and a person's next action depend on."""

    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"  # of a step: no end in its time; for a change nobody knows whether it was made
    FORBIDDEN = "forbidden"
    NO_LEADER = "no_leader"
    QUORUM_LOST = "quorum_lost"  # no leader can be elected by waiting: too few voters live
    UNAVAILABLE = "unavailable"  # said no for now, nothing was written: a later attempt may succeed
    NOT_A_PEER = "not_a_peer"
    AMBIGUOUS = "ambiguous"  # a change may or may not have been made: only a look can tell
    REJECTED = "rejected"
    BAD_REPLY = "bad_reply"
    UNEXPECTED = "unexpected"  # of a step: an answer that the playbook does not expect; only a person can tell
    REFUSED = "refused"
    PLAYBOOK = "playbook"
    PARAM = "param"
    EXPRESSION = "expression"
    VALUE = "value"
    SETTINGS = "settings"
    SECRET = "secret"  # noqa: S105 -- no secret, the word for it
    NOT_STARTED = "not_started"
    LOCKED = "locked"
    JOURNAL = "journal"
    NO_RUN = "no_run"
    NOT_STOPPED = "not_stopped"
    LAB = "lab"


class RunbookError(Exception):
    """What went wrong and where, and what to do next; each class has the data that its catchers decide by."""

    kind: ErrorKind

    def __init__(self, sentence: str, next_action: str = "") -> None:
        super().__init__(f"{sentence}. {next_action}" if next_action else sentence)
        self.sentence = sentence
        self.next_action = next_action


class ClusterError(RunbookError):
    """An answer that is no answer: its class, what happened and where, and what to do next."""

    def __init__(self, kind: ErrorKind, sentence: str, next_action: str = "") -> None:
        super().__init__(sentence, next_action)
        self.kind = kind


class NoAnswerError(ClusterError):
    """No HTTP reply came; ``reach`` says how far the request got, ``spoke`` that a process said why, as in TLS."""

    def __init__(self, reach: Reach, kind: ErrorKind, sentence: str, next_action: str, *, spoke: bool = False) -> None:
        super().__init__(kind, sentence, next_action)
        self.reach, self.spoke = reach, spoke

    @property
    def settled_by(self) -> str | None:
        """What a person can do about a server that speaks and keeps this host out."""
        return self.next_action if self.spoke else None


class StepError(RunbookError):
    """A step that did not do what it was for: TIMEOUT, UNAVAILABLE or UNEXPECTED, which ``retry.only_on`` names.

    The text holds values verbatim or not at all, never escaped or cut through, so that the engine finds every secret.

    ``unsettled``: it may have done what it was for, or a part of it, and nobody knows. A time-out is that unless it is
    said otherwise; a program that ended with a code, and a request that was answered, have been seen to their end.
    """

    def __init__(self, kind: ErrorKind, sentence: str, next_action: str = "", *, unsettled: bool | None = None) -> None:
        super().__init__(sentence, next_action)
        self.kind = kind
        self.unsettled = kind is ErrorKind.TIMEOUT if unsettled is None else unsettled


def unexpected(sentence: str, next_action: str = "", *, unsettled: bool = False) -> StepError:
    """The commonest one, which no retry mends."""
    return StepError(ErrorKind.UNEXPECTED, sentence, next_action, unsettled=unsettled)


class TimeIsUpError(StepError):
    """The step's ``timeout`` is over. No attempt follows."""

    def __init__(self, whose: str) -> None:
        super().__init__(ErrorKind.TIMEOUT, f"the time of {whose} is over", "Give it a longer timeout")


class RefusedError(RunbookError):
    """A guard said no; the act it guards was not done. Refused is not failed."""

    kind = ErrorKind.REFUSED

    def __init__(self, reason: Refusal) -> None:
        super().__init__(reason.sentence, reason.next_action)
        self.reason = reason


class Mark(NamedTuple):
    """A place in a file; line and column count from 1."""

    path: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Diagnostic:
    """One error in a playbook: where, what, and where it can be guessed, what was meant. A warning stops nothing."""

    mark: Mark
    message: str
    source: str = ""
    suggestion: str | None = None
    warning: bool = False

    def render(self) -> str:
        """``file:line:column: message``, the line itself, a caret under the place, and the suggestion."""
        lines = [f"{self.mark}: {'warning: ' if self.warning else ''}{self.message}"]
        if self.source:
            lines += [f"    {self.source}", "    " + " " * (self.mark.column - 1) + "^"]
        if self.suggestion:
            lines.append(f"    {self.suggestion}")
        return "\n".join(lines)


class PlaybookError(RunbookError):
    """The playbook cannot be used. ``diagnostics`` holds *every* error found, in file order."""

    kind = ErrorKind.PLAYBOOK

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        super().__init__("\n".join(diagnostic.render() for diagnostic in diagnostics))
        self.diagnostics = diagnostics


class ParamError(RunbookError):
    """The params given do not fit the playbook. ``messages`` holds one sentence for each that is wrong."""

    kind = ErrorKind.PARAM

    def __init__(self, messages: tuple[str, ...]) -> None:
        super().__init__("\n".join(messages))
        self.messages = messages


class ExpressionError(RunbookError):
    """An expression cannot be computed on the data at hand; the text is a sentence for the operator."""

    kind = ErrorKind.EXPRESSION


class InvalidValueError(RunbookError):
    """The value does not fit: a sentence that begins with *must*, and what was probably meant."""

    kind = ErrorKind.VALUE

    def __init__(self, sentence: str, suggestion: str | None = None) -> None:
        super().__init__(sentence)
        self.suggestion = suggestion


class NoPlaybookError(RunbookError):
    """A word that is neither a file nor the name of a shipped playbook; says what was probably meant."""

    kind = ErrorKind.PLAYBOOK


class NoStepError(RunbookError):
    """No step type has this name, or it is an extension that cannot be used; says what was probably meant, or why."""

    kind = ErrorKind.PLAYBOOK


class SettingsError(RunbookError):
    """The environment does not say which cluster, or contradicts itself: nothing was started."""

    kind = ErrorKind.SETTINGS


class SecretError(RunbookError):
    """A secret cannot be had. Names the secret and where it was looked for, never a value."""

    kind = ErrorKind.SECRET


class NotStartedError(RunbookError):
    """Something outside the cluster forbids the run: nothing was asked of anybody."""

    kind = ErrorKind.NOT_STARTED


class LockedError(RunbookError):
    """Another run holds the cluster. ``holder`` is what it wrote of itself; ``dead`` says that its process is gone."""

    kind = ErrorKind.LOCKED

    def __init__(self, holder: Mapping[str, str], *, dead: bool) -> None:
        super().__init__(f"held by {dict(holder)}")
        self.holder = holder
        self.dead = dead


class JournalError(RunbookError):
    """The journal cannot be written, or what is written was changed. Names the file and the line.

    ``before`` are the events before that line.
    """

    kind = ErrorKind.JOURNAL

    def __init__(self, sentence: str, before: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(sentence)
        self.before = tuple(before)


class AtWorkError(JournalError):
    """Another process writes this journal now."""

    kind = ErrorKind.LOCKED


class TransitionError(RunbookError):
    """The record holds an event that cannot follow the ones before it."""

    kind = ErrorKind.JOURNAL


class NoRunError(RunbookError):
    """No run, or more than one, has this name."""

    kind = ErrorKind.NO_RUN


class StopError(RunbookError):
    """The run cannot be stopped from here, in words."""

    kind = ErrorKind.NOT_STOPPED


class LabError(RunbookError):
    """What a lab says when it cannot do what it was asked: what, where and what to do about it, for the operator."""

    kind = ErrorKind.LAB
