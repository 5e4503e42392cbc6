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
    """

    def __init__(self, trouble: StepTrouble, what: str, next_action: str = "") -> None:
        super().__init__(f"{what}. {next_action}" if next_action else what)
        self.trouble = trouble
        self.what = what
        self.next_action = next_action


def unexpected(what: str, next_action: str = "") -> StepError:
    """The commonest one, which no retry mends."""
    return StepError(StepTrouble.UNEXPECTED, what, next_action)
