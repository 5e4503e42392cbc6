"""Playbooks of commands on a fake cluster, for the tests of what is asked before they change anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runbook.errors import ErrorKind, StepError
from runbook.playbook.model import Effect, StepDeclaration
from runbook.steps import extensions
from runbook.steps.base import StepResult
from runbook.steps.context import StepContext
from runbook.steps.extensions import Extension
from tests.engine.fake import FakeClock, FakeCluster, Run

HEAD = "runbook: 1\nname: commands\nguards: {{ {guards} }}\nsteps:\n"
TOUCH = '  - id: {id}\n    uses: command.run\n    with: {{ argv: [sh, -c, "echo {id} >> {file}"] }}\n'


INNER = "runbook: 1\nname: inner\n{guards}steps:\n"


REMOVALS = """\
  - id: dead
    uses: raft.find_dead
  - id: quorum
    uses: raft.check_quorum
    with: { remove: "${{ dead.peers }}" }
  - id: remove
    for_each: quorum.removals
    uses: raft.remove_peer
    with: { peer: "${{ item.id }}" }
"""


def commands(folder: Path, guards: str, *ids: str, more: str = "", **cluster: Any) -> Run:
    steps = "".join(TOUCH.format(id=each, file=folder / "mark") for each in ids)
    text = HEAD.format(guards=guards) + steps + more
    return Run(FakeCluster(FakeClock(), **cluster), folder, text=text.encode(), path=str(folder / "outer.yaml"))


def done(mark: Path) -> list[str]:
    return mark.read_text().split() if mark.exists() else []


def code_of(run: Run) -> str:
    return str(getattr(run.execute(), "code", ""))


def extension(body: Callable[..., Any]) -> Extension:
    return Extension("my.step", "mine 1", StepDeclaration("my.step", "Do it.", Effect.CHANGE), body)


def flaky(monkeypatch: pytest.MonkeyPatch, failures: int, trouble: ErrorKind = ErrorKind.UNAVAILABLE) -> list[str]:
    """``my.step`` fails that often, and then does not; the places at which it was begun."""
    begun: list[str] = []

    def body(context: StepContext, _arguments: dict[str, Any]) -> StepResult:
        begun.append(context.step)
        if len(begun) <= failures:
            raise StepError(trouble, "not now")
        return StepResult("done", {})

    monkeypatch.setattr(extensions, "one_of", lambda name, _ours: extension(body) if name == "my.step" else None)
    return begun


MINE = "  - id: mine\n    uses: my.step\n"
RETRY = "    retry: { times: 5, wait: 1s, only_on: [unavailable, timeout] }\n"
