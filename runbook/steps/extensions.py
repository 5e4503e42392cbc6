"""Step types of other packages, by the entry points of the group ``runbook.steps``.

The entry point's name is the step's, and what it leads to has what each of our modules has: a ``DECLARATION`` and a
``run``. What is wrong with one of them is told with its name, and disturbs nobody else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, cast

from runbook.dataclass import dataclass
from runbook.errors import ClusterError, InvalidValueError, RefusedError, StepError, unexpected
from runbook.label import Label
from runbook.playbook.expressions.model import UNKNOWN
from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.playbook.types import convert, describe_field
from runbook.printable import printable
from runbook.steps.base import StepResult
from runbook.steps.command import may_run
from runbook.text import beginning, shown

if TYPE_CHECKING:
    from runbook.by_hand import HandView, Instruction
    from runbook.steps.context import StepContext

GROUP = "runbook.steps"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}\.[a-z][a-z0-9_]{0,40}")


@dataclass(frozen=True)
class Extension:
    """One that can be used. ``origin`` is the package and its version."""

    name: str
    origin: str
    declaration: StepDeclaration
    run: Callable[..., Any]

    def body(self, context: StepContext, arguments: dict[str, Any]) -> StepResult:
        """What the engine calls."""
        return run_extension(self, context, arguments)

    def by_hand(self, _view: HandView, arguments: dict[str, Any]) -> Iterator[Instruction]:
        """Its own package does not say, but what it was given is known."""
        from runbook.by_hand import Instruction, in_words

        given = ", ".join(f"{name}: {in_words(value)}" for name, value in arguments.items() if value is not None)
        does = in_words(f"{self.name} of {self.origin} does ({self.declaration.summary})")
        yield Instruction(f"Do by hand what {does} with {given or 'nothing'}.")


@dataclass(frozen=True)
class Broken:
    """One that cannot, and why."""

    name: str
    origin: str
    reason: str


def all_of(ours: frozenset[str]) -> tuple[Extension | Broken, ...]:
    """Every extension that is installed, by name."""
    return tuple(one_of(name, ours) or Broken(name, "", "it is gone") for name in sorted(_offered()))


def one_of(name: str, ours: frozenset[str]) -> Extension | Broken | None:
    """The extension of this name; nothing where no package offers it."""
    points = _offered().get(name, ())
    if not points:
        return None
    origin = " and ".join(f"{point.dist.name} {point.dist.version}" if point.dist else point.value for point in points)
    if name in ours:
        return Broken(name, origin, "it has the name of a step of runbook itself, which is the one that is used")
    if len(points) > 1:
        return Broken(name, origin, "several packages offer it")
    return _loaded(points[0], origin)


@cache
def _offered() -> Mapping[str, tuple[EntryPoint, ...]]:
    offered: dict[str, tuple[EntryPoint, ...]] = {}
    for point in entry_points(group=GROUP):
        offered[point.name] = (*offered.get(point.name, ()), point)
    return offered


@cache
def _loaded(point: EntryPoint, origin: str) -> Extension | Broken:
    if not _NAME.fullmatch(point.name):
        return Broken(point.name, origin, "its name is not something.something in small letters")
    try:
        offer = point.load()
        declaration, run = offer.DECLARATION, offer.run
    except (Exception, SystemExit) as error:  # whatever somebody else's module does as it is imported
        return Broken(point.name, origin, printable(beginning(f"{type(error).__name__}: {error}", 300)))
    reason = _fault(point.name, declaration, run)
    return Broken(point.name, origin, reason) if reason else Extension(point.name, origin, declaration, run)


def _fault(name: str, declaration: Any, run: Any) -> str:
    if not isinstance(declaration, StepDeclaration) or not isinstance(declaration.effect, Effect):
        return "its DECLARATION is no StepDeclaration with an Effect"
    if declaration.name != name:
        return f"it declares the name {declaration.name}"
    if not callable(run):
        return "its run cannot be called"
    faults = [fault for field in (*declaration.parameters, *declaration.results) if (fault := _field_fault(field))]
    return "; ".join(faults)


def _field_fault(field: Any) -> str:
    if not isinstance(field, Field):
        return "a parameter or result is no Field"
    try:
        describe_field(replace(field, choices=None))  # which knows every type
        if field.default is not None:
            convert(field, field.default)
    except KeyError:
        return f"{field.name} has the type {field.type}, which there is not"
    except InvalidValueError as misfit:
        return f"the default of {field.name} {misfit}"
    return ""


# -- one that runs


def run_extension(extension: Extension, context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """Whatever another package's step does wrong is told as its own fault."""
    who = f"the step {extension.name} of {extension.origin}"
    if not may_run(context, arguments):  # whatever it would do with a dry run: it is not ours
        given = {name: value for name, value in arguments.items() if value is not None}
        return StepResult(f"would run {who} with {shown(given)}", {}, Label.UNKNOWN)
    try:
        result = extension.run(context, arguments)
        fault = _result_fault(result)
    except (StepError, ClusterError, RefusedError):
        raise
    except Exception as error:
        what = f"{who} broke: {type(error).__name__}: {error}"
        raise unexpected(what, "Tell those who made it", unsettled=True) from error
    if fault:
        raise unexpected(f"{who} returned {fault}", "Tell those who made it", unsettled=True)
    done: StepResult = result
    return replace(done, label=Label.LIVE) if context.dry_run else done


def _result_fault(result: Any) -> str:
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
