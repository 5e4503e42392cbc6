"""Every command that a page shows exists, with its options, and every verb of the command line has a page and help."""

from __future__ import annotations

import configparser
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from runbook.cli.main import main
from tests.docs.documented import HELP, PAGES, ROOT, Command, Fence, commands, fences, understand


def leaves(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that does something, by its words."""
    for name in group.list_commands(HELP):
        command = group.get_command(HELP, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from leaves(command, (*path, name))
        else:
            yield (*path, name), command


@pytest.mark.parametrize("command", commands("runbook"), ids=lambda command: f"{command.page}: {command.text}")
def test_a_command_that_is_shown_exists(command: Command) -> None:
    """Its verb, its options, and how many arguments it takes."""
    understand(command)


@pytest.mark.parametrize(
    "words", ["bear README.md", "validate", "check --hurry x", "runs yesterday", "show [--quickly]"]
)
def test_a_command_that_does_not_exist_would_be_found(words: str) -> None:
    """The test above can fail."""
    with pytest.raises((click.UsageError, AssertionError)):
        understand(
            Command("a page", "runbook", (*words.split(), "--no-such") if words == "validate" else tuple(words.split()))
        )


@pytest.mark.parametrize(
    ("path", "command"), list(leaves(main)), ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_a_verb_is_on_a_page_and_tells_of_itself(path: tuple[str, ...], command: click.Command) -> None:
    """In an incident nobody reads the source; every verb and each of its options says what it is for."""
    by_hand = [page for page in PAGES if page.name != "command-line.md"]  # which is drawn from the verbs
    pages = "\n".join(page.read_text(encoding="utf-8") for page in by_hand)
    told = re.search(rf"runbook {' '.join(path)}\b", pages) or re.search(rf"runbook {path[0]} .*`{path[-1]}`", pages)
    assert told, f"no page shows `runbook {' '.join(path)}`"
    assert command.help
    silent = [each.name for each in command.params if isinstance(each, click.Option) and not each.help]
    assert silent == []


def test_a_make_target_that_is_shown_exists() -> None:
    """`make demo` on the first page is the first thing that anybody types."""
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    shown = {word for command in commands("make") for word in command.words if "=" not in word}
    assert shown
    assert shown <= set(targets)


@pytest.mark.parametrize("fence", fences("crontab"), ids=lambda fence: f"{fence.page}: {fence.text[:20]}")
def test_the_line_for_cron_can_be_pasted(fence: Fence) -> None:
    """Five fields, no % (which cron takes for a line's end), an absolute path, and a command that exists."""
    (line,) = fence.text.splitlines()
    *schedule, rest = line.split(" ", 5)
    assert [re.fullmatch(r"\*|\*/\d+|\d+", field) is not None for field in schedule] == [True] * 5
    assert "%" not in rest
    words = shlex.split(rest.partition(">")[0])
    program = next(word for word in words if "=" not in word)
    assert Path(program).is_absolute()
    understand(Command(fence.page, "runbook", tuple(words[words.index(program) + 1 :])))


def test_the_units_for_systemd_can_be_pasted() -> None:
    """A oneshot that starts an existing command by its absolute path, and a timer that is wanted by somebody."""
    service, timer = (_unit(fence.text) for fence in fences("systemd"))
    program, *words = shlex.split(service["Service"]["ExecStart"])
    assert Path(program).is_absolute()
    understand(Command("docs/operating.md", "runbook", tuple(words)))
    assert service["Service"]["Type"] == "oneshot"
    assert service["Service"]["SuccessExitStatus"] == "1 2 3"
    assert timer["Timer"]["OnCalendar"] == "minutely"
    assert timer["Install"]["WantedBy"] == "timers.target"


def _unit(text: str) -> configparser.ConfigParser:
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(text)
    return unit
