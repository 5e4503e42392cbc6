"""A dry run is stopped at the doors, also by whoever forgets that it is one, and in whatever thread."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from runbook.cluster.http import HttpClient, HttpSettings
from runbook.cluster.threads import gather, within
from runbook.doors import Purpose, is_dry_run, shut_for_dry_run
from runbook.errors import ClusterError, Mark, StepError
from runbook.files import delete_file, make_folder, replace_file
from runbook.hosts.process import Command, run_command
from runbook.playbook.model import Secret
from runbook.redaction import Redactor
from runbook.secrets import SecretStore
from runbook.steps.exchange import Request, exchange

HELLO = (sys.executable, "-c", "print('hello')")
CLOSED = "http://127.0.0.1:9"


def start(purpose: Purpose) -> str:
    return run_command(Command(HELLO, {}, purpose=purpose), 20.0).stdout


def test_no_program_is_started_but_one_that_looks(tmp_path: Path) -> None:
    with shut_for_dry_run(tmp_path, run_reads=False):
        assert start(Purpose.LOOK) == "hello\n"
        for purpose in (Purpose.READ, Purpose.CHANGE):
            with pytest.raises(StepError, match="a dry run does not start"):
                start(purpose)
    with shut_for_dry_run(tmp_path, run_reads=True):
        assert start(Purpose.READ) == "hello\n"
        with pytest.raises(StepError, match="a dry run does not start"):
            start(Purpose.CHANGE)
    assert start(Purpose.CHANGE) == "hello\n"


def test_no_secret_is_fetched_by_a_program(tmp_path: Path) -> None:
    secret = Secret("key", "exec", HELLO, Mark("p.yaml", 1, 1))
    with shut_for_dry_run(tmp_path, run_reads=False), pytest.raises(StepError, match="a dry run does not start"):
        SecretStore({}, Redactor()).fetch(secret)


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
def test_no_changing_request_leaves_whatever_its_settings_say(tmp_path: Path, method: str) -> None:
    client = HttpClient(CLOSED, HttpSettings())
    with shut_for_dry_run(tmp_path, run_reads=True), pytest.raises(ClusterError, match="a dry run sends no"):
        client.ask(method, "/", timeout=1.0)
    with pytest.raises(ClusterError, match="nothing listens there"):
        client.ask(method, "/", timeout=1.0)


def test_nothing_is_asked_of_others_but_to_read_where_that_is_wanted(tmp_path: Path) -> None:
    for reads, wanted, words in (
        (True, False, "a dry run does not send"),
        (False, True, "a dry run does not send"),
        (True, True, "nothing listens there"),
    ):
        with shut_for_dry_run(tmp_path, run_reads=wanted), pytest.raises(StepError, match=words):
            exchange(Request("GET", f"{CLOSED}/x", {}, reads=reads), 1.0)


def test_no_file_is_written_outside_of_the_runs_folder(tmp_path: Path) -> None:
    folder, outside = tmp_path / "run", tmp_path / "outside"
    folder.mkdir()
    outside.write_text("as it was")
    (folder / "link").symlink_to(tmp_path)
    with shut_for_dry_run(folder, run_reads=True):
        make_folder(folder / "files" / "deep")
        replace_file(folder / "files" / "deep" / "x", b"x")
        delete_file(folder / "files" / "deep" / "x")
        for path in (outside, folder / ".." / "outside", folder / "link" / "outside"):
            for act in (lambda p: replace_file(p, b"x"), delete_file, lambda p: make_folder(p / "new")):
                with pytest.raises(StepError, match="a dry run writes nothing outside"):
                    act(path)
    assert outside.read_text() == "as it was"


def test_threads_work_behind_the_doors_of_who_gave_them_the_work(tmp_path: Path) -> None:
    """Also those that are used again, for work of somebody else."""

    def all_say() -> set[bool | None]:
        return {within(5.0, is_dry_run), *gather((1, 2), lambda _: is_dry_run(), lambda _: (), 5.0).values()}

    for _ in range(3):
        with shut_for_dry_run(tmp_path, run_reads=False):
            assert all_say() == {True}
        assert all_say() == {False}
