"""Whatever a verb raises becomes one sentence on stderr and an exit code that is promised, in one place."""

from __future__ import annotations

from unittest.mock import patch

import click
import pytest

from runbook import exit_codes
from runbook.cli.command_line import CommandLine
from runbook.errors import (
    AtWorkError,
    ClusterError,
    Diagnostic,
    ErrorKind,
    JournalError,
    LabError,
    Mark,
    NoRunError,
    PlaybookError,
    SecretError,
    SettingsError,
    StopError,
)
from tests.command_line import Done, runbook

REPORTED = [
    (SettingsError("two clusters are named", "Name one"), 2, "runbook: two clusters are named. Name one\n"),
    (SecretError("the secret s cannot be had"), 2, "runbook: the secret s cannot be had\n"),
    (NoRunError("there is no run x"), 2, "runbook: there is no run x\n"),
    (StopError("it is not at work"), 2, "runbook: it is not at work\n"),
    (AtWorkError("another process writes it"), 5, "runbook: another process writes it\n"),
    (JournalError("line 3 was changed"), 1, "runbook: line 3 was changed\n"),
    (LabError("there is no lab"), 1, "runbook: there is no lab\n"),
    (ClusterError(ErrorKind.NO_LEADER, "there is no leader"), 4, "runbook: there is no leader\n"),
    (OSError(28, "No space left on device", "f"), 1, "runbook: f: No space left on device\n"),
    (PlaybookError((Diagnostic(Mark("p.yaml", 3, 1), "wrong"),)), 2, "p.yaml:3:1: wrong\n"),
    (KeyboardInterrupt(), 130, ""),
]


@pytest.mark.parametrize(("error", "code", "text"), REPORTED)
def test_an_error_of_a_verb_is_reported(
    error: BaseException, code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(SystemExit) as exit_:
        CommandLine(commands=[click.Command("verb", callback=fail)]).main(["verb"])
    assert (exit_.value.code, capsys.readouterr().err) == (code, text)


@pytest.mark.parametrize("words", [["runs"], ["show", "last"], ["resume", "last"], ["lab", "status"]])
def test_a_user_without_a_home_folder_is_told_what_to_set(words: list[str]) -> None:
    """As cron's and a container's may be: neither HOME nor an entry in the password database."""
    with patch("pathlib.Path.home", side_effect=RuntimeError("no home")):
        done = runbook({}, *words)
    text = "runbook: this user has no home folder. Set RUNBOOK_STATE_DIR to a folder for runs\n"
    assert done == Done(exit_codes.NOT_STARTED, "", text)
