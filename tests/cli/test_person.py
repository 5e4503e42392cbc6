"""The question at a terminal, on a real pseudo-terminal: only a yes, in time, after the question, is a yes."""

from __future__ import annotations

import io
import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from runbook.cli.output import Output
from runbook.cli.terminal import Person, Terminal
from runbook.steps.context import Agreement


@dataclass
class Typist:
    """Sits at the other end of the terminal."""

    line: int

    def types(self, text: str, after: float = 0.0) -> None:
        if after:
            threading.Timer(after, lambda: os.write(self.line, text.encode())).start()
        else:
            os.write(self.line, text.encode())


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> Iterator[Typist]:
    line, terminal = os.openpty()
    with os.fdopen(terminal, "r+b", buffering=0) as raw:
        text = io.TextIOWrapper(raw, encoding="utf-8", write_through=True)
        monkeypatch.setattr(sys, "stdin", text)
        yield Typist(line)
        monkeypatch.undo()
        text.detach()
    os.close(line)


def ask(seconds: float = 10.0) -> Agreement | None:
    return Person("ann@bastion", Terminal(attended=True), Output()).approve("Is it safe?", seconds)


@pytest.mark.parametrize("answer", ["y\n", "yes\n", "  YES \n"])
def test_a_yes_is_a_yes(person: Typist, capsys: pytest.CaptureFixture[str], answer: str) -> None:
    person.types(answer, after=0.3)
    assert ask() == Agreement("ann@bastion", "at the terminal")
    assert capsys.readouterr().err == "Is it safe? [y/N] "


@pytest.mark.parametrize("answer", ["\n", "n\n", "no\n", "yesterday\n", "\x04", "y" * 3000 + "\n"])
def test_everything_else_is_a_no(person: Typist, answer: str) -> None:
    person.types(answer, after=0.3)
    assert ask() is None


def test_silence_is_a_no(person: Typist) -> None:
    began = time.monotonic()
    assert ask(0.3) is None
    assert time.monotonic() - began < 5


def test_what_was_typed_before_the_question_is_no_answer(person: Typist) -> None:
    """Somebody pressed y and Enter at another prompt, and it was still waiting here."""
    person.types("yes\n")
    time.sleep(0.1)
    assert ask(0.5) is None


@pytest.mark.parametrize("after", [0.0, 0.3])
def test_a_terminal_that_is_gone_is_a_no(monkeypatch: pytest.MonkeyPatch, after: float) -> None:
    """Before the question or during it: its window was closed, and no signal came, as under nohup."""
    line, terminal = os.openpty()
    with os.fdopen(terminal, "r+b", buffering=0) as raw:
        text = io.TextIOWrapper(raw, encoding="utf-8", write_through=True)
        monkeypatch.setattr(sys, "stdin", text)
        gone = threading.Timer(after, os.close, [line])
        gone.start()
        if not after:
            gone.join()
        assert ask() is None
        assert Person("ann", Terminal(attended=True), Output()).choose("Was it done?", ("done", "again")) is None
        gone.join()
        monkeypatch.undo()
        text.detach()


def test_without_a_terminal_only_an_agreement_beforehand_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """And it is told as such."""
    assert Person("ann@bastion", Terminal(), Output()).approve("Is it safe?", 10) is None
    beforehand = Person("ann@bastion", Terminal(yes=True), Output()).approve("Is it safe?", 10)
    assert beforehand == Agreement("ann@bastion", "by --yes")
