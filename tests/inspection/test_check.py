"""One check from request to result: whom it tells, what it keeps, and that nothing around it changes what it says."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from runbook.clock import SystemClock
from runbook.cluster.choice import ClusterChoice
from runbook.errors import SettingsError
from runbook.inspection.check import CheckRequest, check_cluster
from runbook.inspection.check_look import LookedAt
from runbook.inspection.check_memory import MOST_BYTES, NO_MEMORY, CheckMemory, read_memory
from runbook.raft.diagnosis.check_result import CheckResult
from runbook.raft.diagnosis.health import CRITICAL, OK, UNKNOWN, WARNING, ClusterHealth
from runbook.redaction import Redactor
from tests.engine.fake import FakeClock

PING, NOTIFY = "https://hc.example/1f2e3d4c-uuid?rid=1", "https://chat.example/hooks/T0K3NT0K3N"


def looked(level: int, **more: Any) -> LookedAt:
    sentence = ("healthy: 5 of 5 voters answer", "degraded", "no leader", "unread")[level]
    return LookedAt(ClusterHealth(level, sentence, 5, 5, 2, 0, 0, has_leader=True, findings=()), **more)


class Post:
    """Whoever is told. ``trouble`` is what goes wrong with it, by a part of the URL."""

    def __init__(self, **trouble: str) -> None:
        self.trouble, self.sent = trouble, list[tuple[str, bytes]]()

    def __call__(self, url: str, body: bytes, seconds: float) -> str:
        self.sent.append((url, body))
        return next((why for part, why in self.trouble.items() if part in url), "")

    @property
    def urls(self) -> list[str]:
        return [url for url, _ in self.sent]


class Checked:
    """Checks of one cluster, one after the other, in a state folder of their own."""

    def __init__(self, folder: Path, **request: Any) -> None:
        self.request = CheckRequest(**request)
        self.environment = {"RUNBOOK_STATE_DIR": str(folder), "NOMAD_ADDR": "http://10.0.0.11:4646,http://10.0.0.12"}
        self.clock, self.post, self.kept = FakeClock(), Post(), list[CheckMemory]()

    def __call__(self, look: LookedAt | Exception | Callable[[], LookedAt]) -> CheckResult:
        def looking(_request: Any, _environment: Any, _redactor: Any, kept: CheckMemory) -> LookedAt:
            self.kept.append(kept)
            if isinstance(look, Exception):
                raise look
            return look() if callable(look) else look

        redactor = Redactor()
        found = check_cluster(
            self.request,
            self.environment,
            redactor,
            self.clock,
            look=looking,
            post=self.post,
        )
        assert not self.request.notify or "T0K3NT0K3N" not in redactor.hide(NOTIFY)
        return found


# -- who is told


@pytest.mark.parametrize(
    ("level", "end"), [(OK, ""), (WARNING, "/1"), (CRITICAL, "/2"), (UNKNOWN, "/fail")], ids=["ok", "1", "2", "fail"]
)
def test_a_dead_mans_switch_hears_of_the_beginning_and_of_the_end(tmp_path: Path, level: int, end: str) -> None:
    """healthchecks.io's forms; what follows the path stays behind it, and the body is the sentence."""
    check = Checked(tmp_path, ping=PING)
    result = check(looked(level))
    assert check.post.urls == [f"https://hc.example/1f2e3d4c-uuid{each}?rid=1" for each in ("/start", end)]
    assert result.sentence.encode() in [body for _, body in check.post.sent]


@pytest.mark.parametrize("level", [OK, WARNING, CRITICAL, UNKNOWN])
def test_whoever_does_not_hear_it_changes_no_exit_code(tmp_path: Path, level: int) -> None:
    """It is said in a remark, and a notice comes again."""
    check = Checked(tmp_path, ping=PING, notify=NOTIFY)
    check.post.trouble = {"hc.example": "it answered 500", "chat.example": "no answer in time"}
    result = check(looked(level))
    assert result.level == level
    assert "ping: it answered 500" in result.remarks
    assert ("notify: no answer in time" in result.remarks) == (level != OK)
    check.post = Post()
    assert check(looked(level)).remarks == ()
    assert check.post.urls.count(NOTIFY) == (level != OK)


def test_a_notice_is_one_object_that_a_chat_shows_too(tmp_path: Path) -> None:
    check = Checked(tmp_path, notify=NOTIFY)
    for level in (OK, CRITICAL, CRITICAL, OK):
        check(looked(level))
    told = [json.loads(body) for _, body in check.post.sent]
    assert [(each["event"], each["status"], each["was"]) for each in told] == [
        ("problem", "CRITICAL", None),
        ("recovery", "OK", "CRITICAL"),
    ]
    assert {key: told[0][key] for key in ("cluster", "kind", "instance", "flapping", "text")} == {
        "cluster": "http://10.0.0.11:4646",
        "kind": "nomad",
        "instance": "http://10.0.0.11:4646",
        "flapping": False,
        "text": "nomad:http://10.0.0.11:4646 is CRITICAL (problem): no leader",
    }


def test_a_change_of_a_flap_is_told_in_the_result_alone(tmp_path: Path) -> None:
    check = Checked(tmp_path, notify=NOTIFY)
    levels = [(OK, WARNING)[turn % 2] for turn in range(12)]
    assert [check(looked(level)).flapping for level in levels][4:] == [False] + [True] * 7
    assert len(check.post.sent) == 5


# -- its time


@pytest.mark.parametrize("more", [{}, {"ping": PING, "notify": NOTIFY}], ids=["alone", "with somebody to tell"])
def test_what_hangs_costs_no_more_than_the_time_out(tmp_path: Path, more: dict[str, str]) -> None:
    """Neither a look nor whoever is told; the rest is said, and the code is 3."""

    class Deaf(Post):
        def __call__(self, url: str, body: bytes, seconds: float) -> str:
            time.sleep(5)
            return ""

    check = Checked(tmp_path, timeout=0.8, **more)
    check.post, check.clock = Deaf(), SystemClock()  # type: ignore[assignment]  # what is waited for is real
    began = time.monotonic()
    result = check(lambda: time.sleep(5))  # type: ignore[arg-type, return-value]
    assert time.monotonic() - began < 1.6
    assert result.level == UNKNOWN
    limit = "0.6" if more else "0.8"
    assert result.sentence == f"the look did not finish within {limit} s; next: runbook diagnose"
    assert bool(result.remarks) == bool(more)


# -- what it keeps


def files_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("checks/*"))


def test_it_keeps_the_sample_for_the_next_look_and_nobody_else_reads_it(tmp_path: Path) -> None:
    """Also over a look that brought none."""
    check = Checked(tmp_path)
    check(looked(OK, pulse={"rows": [1]}))
    (path,) = files_in(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    check(SettingsError("x"))
    check(looked(OK))
    assert [each.pulse for each in check.kept] == [None, {"rows": [1]}, {"rows": [1]}]


def test_another_start_of_the_machine_has_another_clock(tmp_path: Path) -> None:
    check = Checked(tmp_path)
    check(looked(OK, pulse={"rows": [1]}))
    (path,) = files_in(tmp_path)
    path.write_text(path.read_text().replace('"boot": "', '"boot": "0'))
    assert read_memory(path).pulse is None
    assert read_memory(path).watched is not None


def test_two_ways_of_checking_one_cluster_have_each_their_own(tmp_path: Path) -> None:
    """Else one with thresholds and one without would flap against each other."""
    for request in ({}, {"notify": NOTIFY}, {"choice": ClusterChoice(kind="consul")}, {}):
        Checked(tmp_path, **request)(looked(OK))
    assert len(files_in(tmp_path)) == 3


@pytest.mark.parametrize(
    "lies", ["nothing", "{", "[" * 100_000, "null", '{"boot": 1}', "\x00\xff", "folder", "pipe", "big"]
)
def test_whatever_lies_there_ends_no_check(tmp_path: Path, lies: str) -> None:
    check = Checked(tmp_path, notify=NOTIFY)
    check(looked(OK))
    (path,) = files_in(tmp_path)
    path.unlink()
    if lies == "folder":
        path.mkdir()
    elif lies == "pipe":
        os.mkfifo(path)
    else:
        path.write_text("[" + "1," * MOST_BYTES if lies == "big" else lies)
    assert read_memory(path) == NO_MEMORY
    result = check(looked(CRITICAL))
    assert (result.level, len(check.post.sent)) == (CRITICAL, 1)
    assert bool(result.remarks) == (lies in ("folder", "pipe")), "it cannot be kept there, so it would be told again"


def test_without_a_place_for_its_state_it_checks_all_the_same(tmp_path: Path) -> None:
    """As on a disk that is full or read-only: whoever is told hears of it each time, and why is said."""
    (tmp_path / "file").write_text("")
    check = Checked(tmp_path / "file", notify=NOTIFY)
    assert check(looked(OK)).level == OK
    assert "Not a directory" in check(looked(WARNING)).remarks[0]
    quiet = Checked(tmp_path / "file")
    assert quiet(looked(OK)).remarks == ()


@pytest.mark.parametrize("environment", [{}, {"NOMAD_ADDR": "x", "CONSUL_HTTP_ADDR": "y"}])
def test_an_environment_that_names_no_cluster_ends_no_check(environment: Mapping[str, str], tmp_path: Path) -> None:
    """The look tells what is wrong with it."""
    check = Checked(tmp_path)
    check.environment = {"RUNBOOK_STATE_DIR": str(tmp_path), **environment}
    assert check(SettingsError("two are set", "Say which")).sentence == "two are set. Say which"
