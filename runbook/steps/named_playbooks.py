"""The playbooks that a playbook names in ``playbook.run`` are checked with it, before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from runbook.errors import Diagnostic, Mark, NoPlaybookError, ParamError, PlaybookError
from runbook.files import read_limited
from runbook.playbook.diagnostics import Diagnostics, did_you_mean, quoted
from runbook.playbook.expressions.model import Expression, Template
from runbook.playbook.model import Effect, Playbook, StepSpec, Value
from runbook.playbook.params import bind_params
from runbook.playbook.parser import parse_playbook
from runbook.playbook.reader import MAX_BYTES
from runbook.shipped_playbooks import find_playbook
from runbook.steps.registry import CATALOG

if TYPE_CHECKING:
    from pathlib import Path

PLAYBOOK_RUN = "playbook.run"
MAX_NESTING = 4  # playbooks within each other: more than anybody can follow at night


def check_named_playbooks(playbook: Playbook) -> None:
    """Raises :class:`PlaybookError` with the faults of every playbook named, by whatever way round, and of its naming.

    A name that an expression gives is known only to a run, which refuses it then.
    """
    if not any(step.uses == PLAYBOOK_RUN for step in playbook.every_step()):
        return
    from pathlib import Path

    checker = _NamedPlaybooks()
    checker.check(playbook, (Path(playbook.path).resolve(),))
    if checker.faults:
        raise PlaybookError(tuple(checker.faults))


class _NamedPlaybooks:
    """Each file is read once, however often it is named."""

    def __init__(self) -> None:
        self.faults: list[Diagnostic] = []
        self._read: dict[Path, Playbook | None] = {}
        self._checked: set[Path] = set()

    def check(self, playbook: Playbook, chain: tuple[Path, ...]) -> None:
        """``chain`` are the files that run each other, the outermost first; the last is that of ``playbook``."""
        self._checked.add(chain[-1])
        told = Diagnostics(playbook.path, playbook.source.decode("utf-8", "replace"))
        try:
            for step in playbook.every_step():
                name = step.arguments.get("playbook") if step.uses == PLAYBOOK_RUN else None
                if name is not None and isinstance(name.content, str):
                    self._check_step(step, name, chain, told)
            told.raise_if_any()
        except PlaybookError as error:
            self.faults += error.diagnostics

    def _check_step(self, step: StepSpec, name: Value, chain: tuple[Path, ...], told: Diagnostics) -> None:
        from pathlib import Path

        try:
            target = Path(find_playbook(name.content, str(chain[-1].parent))).resolve()
        except NoPlaybookError as error:
            told.add(name.mark, str(error))
            return
        if target in chain:
            circle = " runs ".join(one.name for one in (*chain[chain.index(target) :], target))
            told.add(name.mark, f"{target.name} would run itself: {circle}", "Take one of them out.")
            return
        if len(chain) >= MAX_NESTING:
            told.add(name.mark, f"this is number {len(chain) + 1} within each other, and {MAX_NESTING} is the most")
            return
        inner = self._parsed(target, name.mark, told)
        if inner is None:
            return
        if step.effect is Effect.READ and any(one.effect is not Effect.READ for one in inner.every_step()):
            told.add(name.mark, f"{target.name} holds a step that changes something, and this step says effect: read")
        _check_params(step, inner, told)
        if target not in self._checked:
            self.check(inner, (*chain, target))

    def _parsed(self, target: Path, mark: Mark, told: Diagnostics) -> Playbook | None:
        if target not in self._read:
            self._read[target] = None
            try:
                self._read[target] = parse_playbook(read_limited(target, MAX_BYTES), str(target), CATALOG)
            except OSError as error:
                told.add(mark, f"{target} cannot be read: {error.strerror}")
            except PlaybookError as error:
                self.faults += error.diagnostics
        return self._read[target]


def _check_params(step: StepSpec, inner: Playbook, told: Diagnostics) -> None:
    value = step.arguments.get("params")
    given = value.content if value else {}
    if not isinstance(given, Mapping):
        return
    mark = value.mark if value else step.mark
    known = {param.name: param for param in inner.params}
    for name, written in given.items():
        if name not in known:
            told.add(mark, f"playbook {quoted(inner.name)} has no param {quoted(name)}", did_you_mean(name, known))
        elif _is_literal(written):
            try:
                bind_params(replace(inner, params=(known[name],)), {name: as_typed(written, known[name].type)})
            except ParamError as error:
                told.add(mark, f"for playbook {quoted(inner.name)}, {'; '.join(error.messages)}")
    for param in inner.params:
        if param.required and param.name not in given:
            told.add(mark, f"playbook {quoted(inner.name)} needs the param {quoted(param.name)}", "Give it in params.")


def _is_literal(content: Any) -> bool:
    if isinstance(content, Mapping):
        return all(map(_is_literal, content.values()))
    if isinstance(content, list | tuple):
        return all(map(_is_literal, content))
    return not isinstance(content, Expression | Template)


def as_typed(value: Any, kind: str) -> str:
    """A value as it would be typed on a command line: a param is read in one way, whoever gives it."""
    import json

    if isinstance(value, str):
        return value
    text = json.dumps(value)
    return f"{text}s" if kind == "duration" and isinstance(value, int | float) else text
