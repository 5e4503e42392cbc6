"""What each declared step does. Apart from the catalogue, so that ``validate`` need not load what only a run needs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from runbook.cluster.port import ClusterError
from runbook.playbook.expressions.model import UNKNOWN
from runbook.playbook.model import Effect
from runbook.steps import check_quorum, find_dead, remove_peer, snapshot, verify
from runbook.steps.base import StepResult
from runbook.steps.catalog import GENERIC, NAMES, module_of
from runbook.steps.context import RefusedError, StepContext
from runbook.steps.shown import is_known, shown
from runbook.steps.trouble import StepError, unexpected

if TYPE_CHECKING:
    from runbook.steps.extensions import Extension

Body = Callable[[StepContext, dict[str, Any]], StepResult]


class Bodies(dict[str, Body]):
    """Those of the Raft steps are here; any other is fetched when it is asked for."""

    def __missing__(self, name: str) -> Body:
        if name in GENERIC:
            body: Body = module_of(name).run
            return body
        from runbook.steps.extensions import Extension, one_of

        found = one_of(name, NAMES)
        if not isinstance(found, Extension):
            raise KeyError(name)
        return lambda context, arguments: _held_to_its_word(found, context, arguments)


def _held_to_its_word(extension: Extension, context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """Whatever another package's step does wrong is told as its own fault."""
    who = f"the step {extension.name} of {extension.origin}"
    if extension.declaration.effect is Effect.READ and not is_known(arguments):  # only in a dry run
        given = {name: value for name, value in arguments.items() if value is not None}
        return StepResult(f"would ask {who}: {shown(given)}", {})
    try:
        result = extension.run(context, arguments)
        fault = _fault_of(result)
    except (StepError, ClusterError, RefusedError):
        raise
    except Exception as error:
        what = f"{who} broke: {type(error).__name__}: {error}"
        raise unexpected(what, "Tell those who made it", unsettled=True) from error
    if fault:
        raise unexpected(f"{who} returned {fault}", "Tell those who made it", unsettled=True)
    done: StepResult = result
    return done


def _fault_of(result: Any) -> str:
    """What it is instead of a result that can be recorded. Raises TypeError or ValueError for what JSON cannot hold."""
    if not isinstance(result, StepResult):
        return f"a {type(result).__name__}, not a StepResult"
    message, output = cast("tuple[object, object]", (result.message, result.output))  # whatever they were made of
    if not isinstance(message, str) or not isinstance(output, dict):
        kinds = f"{type(message).__name__} and {type(output).__name__}"
        return f"a StepResult of {kinds}, not of str and dict"
    json.dumps(output, allow_nan=False, default=_plain)
    return ""


def _plain(value: object) -> None:
    """In a dry run a result may hold what is not known yet; the engine has words for it."""
    if value is not UNKNOWN:
        raise TypeError(f"a {type(value).__name__} cannot be recorded")


BODIES: Mapping[str, Body] = Bodies(
    {
        "raft.snapshot": snapshot.run,
        "raft.find_dead": find_dead.run,
        "raft.check_quorum": check_quorum.run,
        "raft.remove_peer": remove_peer.run,
        "raft.verify": verify.run,
    }
)
