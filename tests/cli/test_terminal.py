"""The question at a terminal, on a real pseudo-terminal: only a yes, in time, after the question, is a yes."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO

import pytest

from runbook.cli.terminal import Terminal
from runbook.steps.base import RefusedError


@dataclass
class Person:
    """Sits at the other end of the terminal."""

    line: int
    terminal: TextIO

    def types(self, text: str, after: float = 0.0) -> None:
        if after:
            threading.Timer(after, lambda: os.write(self.line, text.encode())).start()
        else:
            os.write(self.line, text.encode())


@pytest.fixture
def person() -> Iterator[Person]:
    line, terminal = os.openpty()
    with os.fdopen(terminal, "r+b", buffering=0) as raw:
        text = io.TextIOWrapper(raw, encoding="utf-8", write_through=True)
        yield Person(line, text)
        text.detach()
    os.close(line)


def ask(person: Person, seconds: float = 10.0) -> str:
    return Terminal("ann@bastion", False, person.terminal, person.terminal).ask("Is it safe?", seconds)


@pytest.mark.parametrize("answer", ["y\n", "yes\n", "  YES \n"])
def test_a_yes_is_a_yes(person: Person, answer: str) -> None:
    person.types(answer, after=0.3)
    assert ask(person) == "ann@bastion"
    assert b"Is it safe? [y/N] " in os.read(person.line, 1000)


@pytest.mark.parametrize("answer", ["\n", "n\n", "no\n", "yesterday\n", "\x04", "y" * 3000 + "\n"])
def test_everything_else_is_a_no(person: Person, answer: str) -> None:
    person.types(answer, after=0.3)
    with pytest.raises(RefusedError, match="the answer was no: Is it safe?"):
        ask(person)


def test_what_was_typed_before_the_question_is_no_answer(person: Person) -> None:
    """Somebody pressed y and Enter at another prompt, and it was still waiting here."""
    person.types("yes\n")
    time.sleep(0.1)
    with pytest.raises(RefusedError, match="nobody answered within 500ms"):
        ask(person, 0.5)


def test_without_a_terminal_nobody_is_asked(person: Person) -> None:
    for answers, questions in ((io.StringIO("yes\n"), person.terminal), (person.terminal, io.StringIO())):
        with pytest.raises(RefusedError, match=r"no terminal to ask at: Is it safe\?.*--yes"):
            Terminal("ann@bastion", False, answers, questions).ask("Is it safe?", 10)


def test_an_agreement_beforehand_is_told_as_such() -> None:
    assert Terminal("cron@bastion", True, io.StringIO(), io.StringIO()).ask("Is it safe?", 10) == "cron@bastion (--yes)"
