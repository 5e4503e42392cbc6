"""A playbook as frozen values: plain data that can be compared, pickled and written down. Nothing in it is a closure.

:mod:`runbook.playbook.parser` makes them from YAML, :mod:`runbook.playbook.expressions.evaluate` computes what stands
in ``${{ }}``, and the engine does what they say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from enum import Enum
from functools import cached_property
from typing import Any

from runbook.dataclass import dataclass
from runbook.errors import Diagnostic, Mark
from runbook.playbook.approval_rule import ApprovalRule
from runbook.playbook.expressions.model import Expression, Template

RETRYABLE = ("no_leader", "timeout", "unavailable")  # errors that may pass by themselves; every other one is final


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
    (``min``/``max`` of a duration are seconds), ``pattern`` a text (:mod:`runbook.playbook.patterns`). ``items`` names,
    for a list of maps, the keys each item has: ``for_each: dead.peers`` then knows ``item.id``.

    ``secret_ok`` says that a parameter may hold ``${{ secrets.x }}``: it is sent where it must go, and neither printed
    nor recorded, nor seen in a process list (I13). Everywhere else a secret is an error of the playbook.
    ``read_by_shell``: what an expression puts into it may be read as a command, and is warned of; in a list of
    arguments where it calls a shell.
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
    pattern: str | None = None
    secret_ok: bool = False
    read_by_shell: bool = False


@dataclass(frozen=True)
class StepDeclaration:
    """Everything a playbook may say to a step type and read from it. Validation, help and reference come from here.

    ``guarded``: whether a step of this type that is not ``read`` needs ``guards:`` (decision 0020). False only for what
    does not touch a cluster: a message, a file on this host. A dry run does not do it either.

    ``parallel``: whether several of it may run beside each other. Only for what looks at no cluster and changes no Raft
    configuration.

    ``safe_to_repeat`` are values of parameters, of which one is needed where a step that is not ``read`` may be retried
    after a time-out: else that might do it twice.

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
    parallel: bool = False
    safe_to_repeat: tuple[tuple[str, tuple[Any, ...]], ...] = ()


@dataclass(frozen=True)
class Value:
    """A value as written, and what its result must be.

    ``content`` is plain data (strings, numbers, lists, mappings) in which each ``${{ }}`` is an :class:`Expression` or
    part of a :class:`Template`. ``label`` names the value in errors, such as ``parameter "peer"``.
    """

    mark: Mark
    label: str
    field: Field
    content: Any

    def expressions(self) -> Iterator[Expression]:
        """Every expression in it."""
        pending = [self.content]
        while pending:
            item = pending.pop()
            if isinstance(item, Expression):
                yield item
            elif isinstance(item, Template):
                pending += item.parts
            elif isinstance(item, Mapping):
                pending += item.values()
            elif isinstance(item, list | tuple):
                pending += item

    @property
    def secrets(self) -> frozenset[str]:
        """The secrets it reads: fetch just these, just before it is resolved, into ``scope["secrets"]``."""
        return frozenset().union(*(expression.secrets for expression in self.expressions()))


@dataclass(frozen=True)
class Secret:
    """Where a secret is fetched from, as late as possible: a reference, never the secret itself.

    ``source`` is ``env`` (target: the name of a variable), ``file`` (an absolute path, or one that begins with ``~/``),
    ``exec`` (an argument list, run without a shell; its standard output, less the last line break, is the secret) or
    ``vault`` (path and field).
    """

    name: str
    source: str
    target: tuple[str, ...]
    mark: Mark


@dataclass(frozen=True)
class Retry:
    """When and how often a failed attempt is repeated: bounded by ``times``, by ``within``, or by both.

    ``wait`` is a duration, or the text of two, as ``1s..30s``.
    """

    times: Value | None
    wait: Value
    jitter: bool
    within: Value | None
    only_on: frozenset[str] | None


@dataclass(frozen=True)
class Until:
    """``until / every / within``: do the step again until ``condition`` holds over its own ``result``.

    One round is one result: all attempts of ``retry`` together. After a round whose condition is not True the engine
    sleeps ``every``; once ``within`` has passed since the first round began, the step has failed, and the failure
    carries the condition's text and the last result. UNKNOWN (a dry run) counts as held; and what does not hold is not
    waited for in a dry run: what the result would then be is not known.
    """

    condition: Expression
    every: Value
    within: Value


@dataclass(frozen=True)
class Assertion:
    """``assert / else``, asked once after ``until``, over the same ``result``. Not True: the step has failed.

    It fails with ``message`` (resolved in the same scope), or where that is None with the condition's text; it is never
    retried. UNKNOWN (a dry run) counts as held.
    """

    condition: Expression
    message: Value | None


@dataclass(frozen=True)
class StepSpec:
    """One entry of a list of steps: a step of a type (``uses``), or a block (``uses`` is empty, ``steps`` is not). A
    step that only asserts is one of the type ``assert`` with an ``assertion``.

    What the engine does, in this order:

    1. ``condition`` gives True, False or UNKNOWN and is decided once, before ``for_each``. Not True: outcome
       ``skipped``, no entry in the scope. One that reads ``item`` or ``loop`` beside ``for_each`` is decided for each
       item, and the step is done for those alone of which it is True; ``loop.index`` counts them all.
    2. ``for_each`` gives a list or UNKNOWN; a mapping has become a list of ``{"key", "value"}``. Each item in turn, or
       ``parallel`` of them beside each other, has a scope with ``item`` and ``loop`` (``{"index": n}``, from 1). The
       first item that fails ends the step, once those that were begun are over. An empty list: outcome ``skipped``, but
       a result with ``count`` 0.
    3. A round: ``arguments`` are resolved, the step is done, ``retry`` repeats a failed attempt. The result stands
       under ``result`` in the scope of what follows.
    4. ``until`` repeats the round. Then ``assertion`` is asked. Then ``undo`` is resolved: a sentence that tells a
       person how to take the change back by hand. It is kept with the step's completion, shown when a later step fails,
       and never acted on (decision 0003).
    5. ``timeout`` bounds 3 and 4 over all items, rounds, attempts and waits; reaching it is a failure.
    6. Failed or refused: ``on_failure`` is run. Then ``finally_`` is run, however the step ended, unless it was
       skipped. Both are run once for the step, not for each item. Their scope has ``run`` with ``outcome``,
       ``failed_step`` and ``error``. A failure inside them never hides the first one: it ends that list, and the
       run fails only where nothing had failed before.
    7. ``continue_on_failure``: a *failed* step (its handlers done) has the outcome ``failed``, no entry in the scope,
       and the run goes on and may succeed. A refusal and an interruption end the run all the same. With ``for_each`` an
       item that fails does not end the step: the rest goes on, and the step, which has failed, has a result all the
       same, with null for each item that failed, and ``failed`` with the ``index``, ``item`` and ``error`` of each.

    In the scope a step's result stands under its id; with ``for_each`` it is ``{"results": [one for each item],
    "count": int}``. A block's result is a mapping from the id of each inner step that has one to its result; the inner
    ids themselves stand in the scope only inside the block, and in its handlers where it has no ``for_each``. The
    results of a handler's steps stand in the scope only inside that handler.

    ``effect`` is the step's own: what its type declares, or READ where the step says so. A block has the strongest of
    its inner steps (handlers too): CHANGE, then UNKNOWN, then READ. ``guarded`` says whether it stands under guards: it
    is not READ, and its type is guarded; of a block, one step in it at least. Lock, approval and ``max_changes`` are
    for guarded steps; a dry run does no step that is not READ.
    """

    id: str
    uses: str
    arguments: Mapping[str, Value]
    mark: Mark
    effect: Effect = Effect.READ
    guarded: bool = False
    condition: Expression | None = None
    for_each: Expression | None = None
    parallel: Value | None = None
    retry: Retry | None = None
    timeout: Value | None = None
    until: Until | None = None
    assertion: Assertion | None = None
    undo: Value | None = None
    continue_on_failure: bool = False
    steps: tuple[StepSpec, ...] = ()
    on_failure: tuple[StepSpec, ...] = ()
    finally_: tuple[StepSpec, ...] = ()

    def inner(self) -> Iterator[StepSpec]:
        """This step and every step in it, in reading order."""
        yield self
        for step in (*self.steps, *self.on_failure, *self.finally_):
            yield from step.inner()


@dataclass(frozen=True)
class Guards:
    """The playbook's ``guards:``, each a :class:`Value` as it may hold an expression; ``None`` where not written.

    ``cooldown`` is how many seconds after a recovery the next one needs an acknowledgement.
    """

    max_changes: Value | None = None
    min_voters: Value | None = None
    never_worse: Value | None = None
    cooldown: Value | None = None


@dataclass(frozen=True)
class Playbook:
    """A checked playbook. ``source`` are the bytes of its file. ``unattended``: nobody watches its runs.

    ``on_failure`` is run where the run failed or was refused, not where a person interrupted it. ``finally_`` is run
    after it, however the run ended. Scope of both: the results of all steps that have one, and ``run`` with ``outcome``
    (``success``, ``failed``, ``refused`` or ``interrupted``), and ``failed_step`` and ``error`` (texts, null where
    nothing failed). A failure inside them is an event; the run keeps its first ending, and a run that had
    succeeded fails. ``timeout`` bounds all of ``steps``, and none of these.

    Every scope also holds ``outcomes``: for each step that is over its ``success``, ``skipped`` or ``failed``; in it
    ``outcome(id)`` looks, and says ``not_run`` for a step that is not there. In a dry run any value may be UNKNOWN.
    """

    name: str
    summary: str
    path: str
    source: bytes = field(repr=False)
    params: tuple[Field, ...]
    guards: Guards
    steps: tuple[StepSpec, ...]
    secrets: tuple[Secret, ...] = ()
    on_failure: tuple[StepSpec, ...] = ()
    finally_: tuple[StepSpec, ...] = ()
    timeout: Value | None = None
    warnings: tuple[Diagnostic, ...] = field(default=(), compare=False, repr=False)
    approval: ApprovalRule | None = None
    unattended: bool = False

    @cached_property
    def digest(self) -> str:
        """The SHA-256 (hex) of its file, which only a run asks for."""
        from hashlib import sha256

        return sha256(self.source).hexdigest()

    def every_step(self) -> Iterator[StepSpec]:
        """Every step, those inside blocks and handlers too, in reading order."""
        for step in (*self.steps, *self.on_failure, *self.finally_):
            yield from step.inner()
