"""The documentation is read without a network: the pages are listed, and each is printed as it is."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from runbook.cli.command_line import LAZY, SUMMARIES
from runbook.cli.main import main
from runbook.cli.reference import format_commands
from tests.cli.test_completion import offered
from tests.command_line import ROOT, runbook

DOCS = ROOT / "docs"
NAMES = {path.relative_to(DOCS).as_posix().removesuffix(".md"): path for path in DOCS.rglob("*.md")}


def test_every_page_is_listed_with_its_title() -> None:
    listed = [re.split("  +", line, maxsplit=1) for line in runbook({}, "docs").stdout.splitlines()]
    assert {name for name, _ in listed} == set(NAMES)
    assert ["lost-quorum", "When quorum is lost"] in listed


@pytest.mark.parametrize("word", ["servers/nomad", "servers/nomad.md", "docs/servers/nomad.md"])
def test_a_page_is_printed_by_its_name_or_as_others_name_it(word: str) -> None:
    done = runbook({}, "docs", word)
    assert (done.returncode, done.stdout) == (0, NAMES["servers/nomad"].read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("safty", 'Did you mean "safety"?'),
        ("etcd", 'Did you mean "how-to/etcd" or "servers/etcd"?'),
        ("../README", "`runbook docs` lists them"),
    ],
)
def test_a_page_that_is_not_there(word: str, told: str) -> None:
    done = runbook({}, "docs", word)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr


def test_an_installation_without_pages_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("runbook.shipped_pages.FOLDER", str(tmp_path / "docs"))
    assert "this installation came without any page" in runbook({}, "docs", "safety").stderr


def test_the_names_are_completed(tmp_path: Path) -> None:
    assert offered(tmp_path, "runbook docs servers/no") == ["servers/nomad"]


def test_the_page_of_the_command_line_is_drawn_from_it() -> None:
    assert NAMES["command-line"].read_text(encoding="utf-8") == format_commands(), "it is stale: run make docs"


def test_a_terminal_is_given_the_page_by_its_pager(tmp_path: Path) -> None:
    """And it alone: what is no terminal gets the text."""
    pager = tmp_path / "pager"
    pager.write_text(f'#!/bin/sh\ncat > "{tmp_path}/paged"\n', encoding="utf-8")
    pager.chmod(0o700)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "runbook", "docs", "words"]
    environment = {**os.environ, "PAGER": str(pager), "TERM": "xterm"}
    subprocess.run(command, env=environment, cwd=ROOT, stdin=theirs, stdout=theirs, timeout=60, check=True)
    os.close(theirs)
    os.close(ours)
    assert (tmp_path / "paged").read_text(encoding="utf-8").rstrip() == NAMES["words"].read_text("utf-8").rstrip()


def test_no_line_of_the_list_of_verbs_is_cut_at_80_columns() -> None:
    """A sentence that ends in dots says nothing of what it leaves out."""
    done = runbook({**os.environ, "COLUMNS": "80"}, "--help")
    assert [line for line in done.stdout.splitlines() if "..." in line and "[ARGS]" not in line] == []
    assert all(len(line) <= 80 for line in done.stdout.splitlines())


def test_the_list_of_verbs_says_what_each_says_of_itself_and_loads_none() -> None:
    """A lazy verb is summed up where it is named. The sentence is its own, and may not grow old there."""
    context = click.Context(main, info_name="runbook")
    own = {name: main.get_command(context, name) for name in LAZY}
    assert {name: verb and verb.get_short_help_str(200) for name, verb in own.items()} == SUMMARIES
    code = "import sys; from runbook.__main__ import main\ntry: main()\nfinally: print(*sys.modules)"
    command = [sys.executable, "-c", code, "--help"]
    loaded = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.split()
    assert not {f"runbook.cli.{module}" for module in LAZY.values()} & set(loaded)
