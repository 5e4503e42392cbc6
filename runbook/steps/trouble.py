"""How a generic step fails. Light, as ``validate`` loads every step for its declaration."""

from __future__ import annotations

from enum import Enum


class StepTrouble(Enum):
    """The class of a failure: what ``retry.only_on`` names."""

    TIMEOUT = "timeout"  # no end in its time; for a change nobody knows whether it was made
    UNAVAILABLE = "unavailable"  # it could not be reached or said no for now: a later attempt may succeed
    UNEXPECTED = "unexpected"  # it answered, and not as the playbook expects: only a person can tell


class StepError(Exception):
    """A step that did not do what it was for: the class, what happened and where, and what to do next.

    The text holds values verbatim or not at all, never escaped or cut through, so that the engine finds every secret.

    ``unsettled``: it may have done what it was for, or a part of it, and nobody knows. A time-out is that unless it is
    said otherwise; a program that ended with a code, and a request that was answered, have been seen to their end.
    """

    def __init__(
        self, trouble: StepTrouble, what: str, next_action: str = "", *, unsettled: bool | None = None
    ) -> None:
        super().__init__(f"{what}. {next_action}" if next_action else what)
        self.trouble = trouble
        self.what = what
        self.next_action = next_action
        self.unsettled = trouble is StepTrouble.TIMEOUT if unsettled is None else unsettled


def unexpected(what: str, next_action: str = "", *, unsettled: bool = False) -> StepError:
    """The commonest one, which no retry mends."""
    return StepError(StepTrouble.UNEXPECTED, what, next_action, unsettled=unsettled)
