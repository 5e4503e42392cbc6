"""How a step ends badly, as one value: what the record, the handlers and the exit code are made of."""

from __future__ import annotations

import traceback

from runbook.dataclass import dataclass
from runbook.errors import ClusterError, ExpressionError, InvalidValueError, RefusedError, SecretError, StepError
from runbook.events import RunFailed, RunInterrupted, RunRefused


@dataclass(frozen=True)
class Failure:
    """``outcome`` is failed, refused or interrupted; ``code`` the kind of the error, or the refusal's code."""

    outcome: str
    step: str
    code: str
    message: str
    detail: str = ""

    @property
    def ending(self) -> RunRefused | RunFailed | RunInterrupted:
        if self.outcome == "refused":
            return RunRefused(self.step, self.code, self.message)
        if self.outcome == "interrupted":
            return RunInterrupted(self.step, self.message)
        return RunFailed(self.step, self.code, self.message, self.detail)


class StoppedError(Exception):
    """A step inside has failed and all that belongs to its end is done."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def failure_of(step: str, error: BaseException, *, keep_traceback: bool) -> Failure:
    """Whatever a step raised, in words for the operator; a traceback only where somebody asked for it."""
    if isinstance(error, StoppedError):
        return error.failure
    if isinstance(error, RefusedError):
        return Failure("refused", step, error.reason.code, str(error.reason))
    if isinstance(error, KeyboardInterrupt):
        return Failure("interrupted", step, "signal", "stopped by a signal")
    detail = "".join(traceback.format_exception(error)) if keep_traceback else ""
    return Failure("failed", step, *_code_and_sentence(error), detail)


def _code_and_sentence(error: BaseException) -> tuple[str, str]:
    """The code of the failure, and the sentence. A step's own kind of error says nothing of the cluster."""
    if isinstance(error, ClusterError):
        return error.kind.value, str(error)
    if isinstance(error, StepError):
        return f"step.{error.kind.value}", str(error)
    if isinstance(error, ExpressionError | InvalidValueError | SecretError):
        return "playbook", str(error)
    return "bug", f"{type(error).__name__}: {error}. This is a bug in runbook, not of the cluster"
