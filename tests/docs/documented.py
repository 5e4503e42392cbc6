"""What the pages show: every `runbook` command and every `make` target, where it stands, and the sessions to be run.

A fence marked ``sh`` is a session that a test runs as it stands. Everything else must be a command that exists.
"""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from runbook.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
COMMAND = re.compile(r"(?<![\w.…-])(?:/\S*/)?(runbook|make) +([^|;&)>\n]+)")
HELP = click.Context(main, info_name="runbook")
PLACEHOLDER = re.compile(r"\b[A-Z]{3,}\b|[…\[\]]")


@dataclass(frozen=True)
class Command:
    """One command of a page: ``runbook`` or ``make``, and its words."""

    page: str
    program: str
    words: tuple[str, ...]

    @property
    def text(self) -> str:
        return " ".join(self.words)

    @property
    def is_form(self) -> bool:
        """Whether it shows a form and cannot be typed as it stands: ``validate FILE…``, ``[--dry-run]``."""
        return bool(PLACEHOLDER.search(self.text))


@dataclass(frozen=True)
class Fence:
    """One fenced block of a page."""

    page: str
    language: str
    text: str


def fences(language: str | None = None) -> list[Fence]:
    found = [
        Fence(str(page.relative_to(ROOT)), *match.groups())
        for page in PAGES
        for match in FENCE.finditer(page.read_text(encoding="utf-8"))
    ]
    return [fence for fence in found if language in (None, fence.language)]


def commands(program: str) -> list[Command]:
    """In fences, after a prompt, a schedule or an assignment; in prose, where a code span begins with one."""
    shown = [(fence.page, line) for fence in fences() for line in fence.text.splitlines()]
    shown += [(str(page.relative_to(ROOT)), span) for page in PAGES for span in _spans(page)]
    found = [command for page, line in shown for command in _in(page, line)]
    return sorted({each for each in found if each.program == program}, key=lambda each: (each.page, each.words))


def _spans(page: Path) -> Iterator[str]:
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    yield from (span for span in SPAN.findall(prose) if re.match(r"(\w+=\S+ )*(runbook|make) ", span))


def _in(page: str, line: str) -> Iterator[Command]:
    for program, rest in COMMAND.findall(re.sub(r"(^| )# .*", "", line)):
        typed = rest if rest.count('"') % 2 == 0 else rest.rstrip('" ')  # the end of a quotation around the command
        yield Command(page, program, tuple(shlex.split(typed)))


def found(words: Sequence[str]) -> tuple[click.Command, list[str]]:
    """The command that these words name, and the words that are left for it."""
    command, rest = main, list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        inner = command.get_command(HELP, rest[0])
        assert inner is not None, f"there is no {' '.join(words)}"
        command, rest = inner, rest[1:]  # type: ignore[assignment]
    return command, rest


def understand(command: Command) -> None:
    """Raises what click raises for words that it does not understand. A verb alone is only a mention of it."""
    leaf, rest = found(command.words)
    if command.is_form:
        leaf.make_parser(HELP).parse_args([word.strip("[]…") for word in rest])
    elif rest:
        with contextlib.suppress(click.exceptions.Exit):  # --help and --version are answered at once
            leaf.make_context(command.words[0], rest)


def is_whole(command: Command) -> bool:
    """Whether it could be typed as it stands, and is no form and no bare mention of a verb that needs more."""
    leaf, rest = found(command.words)
    try:
        leaf.make_context(command.words[0], rest)
    except click.UsageError:
        return False
    except click.exceptions.Exit:
        return True
    return not command.is_form
