"""The words of a playbook as frozen values. :mod:`runbook.playbook.parse` makes them; the engine obeys them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Effect(Enum):
    """What a step does to the world. ``UNKNOWN`` is treated as a change."""

    READ = "read"
    CHANGE = "change"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Field:
    """One parameter or result field of a step, or one param of a playbook.

    ``type`` is one of ``string int float bool duration list map any``, or of ``enum url path``, which are strings. A
    duration is written ``30s`` and held as float seconds. ``choices``, ``min`` and ``max`` bound the value
    (``min``/``max`` of a duration are seconds). ``items`` names, for a list of maps, the keys each item has:
    ``for_each: dead.peers`` then knows ``item.id``.

    ``secret_ok`` says that a parameter may hold ``${{ secrets.x }}``: it is sent where it must go, and neither printed
    nor recorded, nor seen in a process list (I13). Everywhere else a secret is a fault of the playbook.
    """

    name: str
    type: str
    summary: str
    required: bool = False
    default: Any = None
    choices: tuple[Any, ...] | None = None
    min: float | None = None
    max: float | None = None
    items: tuple[str, ...] | None = None
    secret_ok: bool = False


@dataclass(frozen=True)
class StepDeclaration:
    """Everything a playbook may say to a step type and read from it. Validation, help and reference come from here.

    ``guarded``: whether a step of this type that is not ``read`` needs ``guards:`` (decision 0020). False only for what
    tells and does not touch a cluster: a message, a file on this host. A dry run does not do it either.

    ``observe`` says in words how to tell whether its change has happened already, ``shadow`` what a dry run does
    instead. ``example`` is YAML as it stands under ``steps:``, with comments that teach. Of ``exactly_one`` of these
    parameters one is given and no more, of ``at_most_one`` one or none.
    """

    name: str
    summary: str
    effect: Effect
    parameters: tuple[Field, ...] = ()
    results: tuple[Field, ...] = ()
    guarded: bool = True
    observe: str = ""
    shadow: str = ""
    example: str = ""
    exactly_one: tuple[str, ...] = ()
    at_most_one: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mark:
    """A place in a file; line and column count from 1."""

    path: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


Scope = Mapping[str, Any]


@dataclass(frozen=True)
class Expression:
    """A compiled expression: its text, the top-level names it reads, and a function of the scope."""

    text: str
    names: frozenset[str]
    evaluate: Callable[[Scope], Any] = field(compare=False)


@dataclass(frozen=True)
class Value:
    """A value as written: plain data, or data holding ``${{ }}`` expressions. ``resolve(scope)`` gives plain data."""

    mark: Mark
    resolve: Callable[[Scope], Any] = field(compare=False)
    names: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Retry:
    """When and how often a failed attempt is repeated. Seconds. Bounded by ``times``, by ``within``, or by both."""

    times: int | None
    wait_min: float
    wait_max: float
    jitter: bool
    within: float | None
    only_on: frozenset[str] | None


@dataclass(frozen=True)
class StepSpec:
    """One entry of ``steps:``.

    ``condition`` gives True, False or UNKNOWN and is decided once, before ``for_each``, which gives a list or UNKNOWN.
    In the scope a step's result stands under its id; with ``for_each`` it is ``{"results": [one for each item],
    "count": int}``. A step that was skipped has no entry in the scope.
    """

    id: str
    uses: str
    arguments: Mapping[str, Value]
    mark: Mark
    condition: Expression | None = None
    for_each: Expression | None = None
    retry: Retry | None = None


@dataclass(frozen=True)
class Guards:
    """The playbook's ``guards:``, each a :class:`Value` as it may hold an expression; ``None`` where not written."""

    max_changes: Value | None = None
    min_voters: Value | None = None
    never_worse: Value | None = None
    cooldown: Value | None = None


@dataclass(frozen=True)
class Playbook:
    """A checked playbook. ``digest`` is the SHA-256 (hex) of the file's bytes."""

    name: str
    summary: str
    path: str
    digest: str
    params: tuple[Field, ...]
    guards: Guards
    steps: tuple[StepSpec, ...]


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a playbook: where, what, and where it can be told, what was meant."""

    mark: Mark
    message: str
    source: str = ""
    suggestion: str | None = None

    def render(self) -> str:
        """``file:line:column: message``, the line itself, a caret under the place, and the suggestion."""
        lines = [f"{self.mark}: {self.message}"]
        if self.source:
            lines += [f"    {self.source}", "    " + " " * (self.mark.column - 1) + "^"]
        if self.suggestion:
            lines.append(f"    {self.suggestion}")
        return "\n".join(lines)


class PlaybookError(Exception):
    """The playbook cannot be used. Holds *every* fault found, in file order."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("\n".join(fault.render() for fault in faults))
        self.faults = faults
