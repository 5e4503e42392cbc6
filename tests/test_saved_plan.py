"""A plan on disk: whole, as it was made, and in a form that this version reads; or refused in one sentence."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from runbook.errors import NotStartedError, RefusedError
from runbook.report.plan import format_plan
from runbook.saved_plan import SavedPlan, _digest, plan_text, read_plan
from runbook.session.plan_claims import claim_plan, refuse_used_plan
from runbook.session.saved_plans import HeldPlan, load_plan, save_plan
from tests.engine.commands import REMOVALS
from tests.engine.planned import planned

NOW = "2026-01-01T00:10:00.000+00:00"


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> SavedPlan:
    plan = planned(REMOVALS, tmp_path_factory.mktemp("plan"), dead={5})
    return read_plan(plan_text(replace(plan, unknown={"one": "first", "two": "second"})), "it")


def test_what_is_written_is_read_back(plan: SavedPlan, tmp_path: Path) -> None:
    save_plan(tmp_path / "plan.json", plan)
    found = load_plan(tmp_path / "plan.json").plan
    assert found == plan
    assert (found.digest, len(found.digest)) == (plan.digest, 64)
    assert (tmp_path / "plan.json").stat().st_mode & 0o777 == 0o600


SERVER = {"id": "id-1", "address": "127.0.0.11:4647", "name": "s1.global", "voter": True, "verdict": "alive",
          "in_contact": True, "evidence": ""}  # fmt: skip


def edited(text: bytes) -> bytes:
    return text.replace(b"127.0.0.15", b"127.0.0.14", 1)


def forged(**changes: Any) -> Callable[[bytes], bytes]:
    """With the right digest: by somebody who knows how it is made."""

    def forge(text: bytes) -> bytes:
        data = {**json.loads(text), **changes}
        del data["digest"]
        return f"{json.dumps({**data, 'digest': _digest(data)}, ensure_ascii=False, indent=1)}\n".encode()

    return forge


def renamed(text: bytes) -> bytes:
    """Whoever signs reads the name, and the id is what is removed."""
    (request,) = json.loads(text)["requests"]
    return forged(requests=[request | {"name": "s4.global"}])(text)


def in_another_order(text: bytes) -> bytes:
    """What a mapping holds is the same, and what is told first is not."""
    data = json.loads(text)
    data["unknown"] = dict(reversed(data["unknown"].items()))
    return f"{json.dumps(data, ensure_ascii=False, indent=1)}\n".encode()


BAD: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "edited": (edited, "was changed after it was made: its digest is "),
    "truncated": (lambda text: text[: len(text) // 2], "is no JSON, as of a file that was cut off"),
    "another format": (lambda text: text.replace(b'"runbook_plan": 1', b'"runbook_plan": 7'), "is of format 7, and"),
    "empty": (lambda _text: b"", "is no JSON"),
    "no plan": (lambda _text: b'{"plan": 1}', "is not what runbook plan writes"),
    "a list": (lambda _text: b"[]", "is not what runbook plan writes"),
    "binary": (lambda _text: b"\xff\xfe\x00", "is no JSON"),
    "deep": (lambda _text: b'{"runbook_plan": 1, "x": ' + b"[" * 100_000, "is no JSON"),
    "huge": (lambda _text: b" " * 5_000_000, "has more than 4 MiB"),
    "no number": (lambda text: text.replace(b'"term": 2', b'"term": NaN'), "is not what runbook plan writes"),
    "said twice": (lambda text: text.replace(b'"term": 2', b'"term": 1, "term": 2'), "its text is not what"),
    "other spaces": (lambda text: text.replace(b"\n ", b"\n  ", 1), "its text is not what"),
    "more in it": (forged(more=1), "is not what runbook plan writes, though its digest is right"),
    "no text": (forged(outcome=["x"]), "is not what runbook plan writes, though"),
    "no servers": (forged(servers={"a": 1}), "is not what runbook plan writes, though"),
    "odd requests": (forged(requests=[{"step": 1}]), "is not what runbook plan writes, though"),
    "odd term": (forged(term="2"), "is not what runbook plan writes, though"),
    "no moment": (forged(expires="tomorrow"), "is not what runbook plan writes, though"),
    "no time": (forged(seconds="1.0"), "is not what runbook plan writes, though"),
    "a time without end": (forged(waits=10**400), "is not what runbook plan writes, though"),
    "no vote": (forged(servers=[SERVER | {"voter": "x"}]), "is not what runbook plan writes, though"),
    "no such verdict": (forged(servers=[SERVER | {"verdict": "zombie"}]), "is not what runbook plan writes, though"),
    "a path that no file has": (forged(playbooks={"/a\0b": "x"}), "is not what runbook plan writes, though"),
    "an inventory that no file is": (forged(inventory="/a\0b"), "is not what runbook plan writes, though"),
    "another order": (in_another_order, "was changed after it was made: its digest is "),
    "a removal by another name": (renamed, "is not what runbook plan writes, though"),
    "no playbook": (forged(playbooks={}), "is not what runbook plan writes, though"),
}


@pytest.mark.parametrize("how", BAD)
def test_what_is_no_plan_or_not_as_it_was_made(how: str, plan: SavedPlan, tmp_path: Path) -> None:
    """In one sentence that names the file; nothing else is raised, whatever it holds."""
    spoil, words = BAD[how]
    path = tmp_path / "plan.json"
    path.write_bytes(spoil(plan_text(plan)))
    with pytest.raises(NotStartedError) as caught:
        load_plan(path)
    assert str(path) in caught.value.sentence
    assert words in caught.value.sentence


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(NotStartedError, match="cannot be read: No such file"):
        load_plan(tmp_path / "none.json")
    with pytest.raises(NotStartedError, match="cannot be read: Is a directory"):
        load_plan(tmp_path)


def test_it_is_executed_once_and_the_same_run_may_go_on(plan: SavedPlan, tmp_path: Path) -> None:
    held = HeldPlan(tmp_path / "plan.json", plan)
    refuse_used_plan(held, tmp_path, NOW)
    claim_plan(held, tmp_path, NOW, "run-1")
    claim_plan(held, tmp_path, NOW, "run-1")
    refuse_used_plan(held, tmp_path, plan.expires, "run-1")  # it has begun in time
    with pytest.raises(RefusedError, match="was executed before, by run-1"):
        claim_plan(held, tmp_path, NOW, "run-2")


def test_of_one_that_a_run_stopped_in_it_is_told_how_to_go_on(plan: SavedPlan, tmp_path: Path) -> None:
    """A new plan would be of a world in which half of it is done, and the cluster is that run's."""
    held = HeldPlan(tmp_path / "plan.json", plan)
    claim_plan(held, tmp_path, NOW, "run-1")
    with pytest.raises(RefusedError, match="Where it stopped, runbook resume run-1 goes on; else make a new"):
        refuse_used_plan(held, tmp_path, NOW)


def test_a_note_that_could_not_be_written_uses_nothing_up(plan: SavedPlan, tmp_path: Path) -> None:
    held = HeldPlan(tmp_path / "plan.json", plan)
    full = OSError(errno.ENOSPC, "No space left on device")
    with patch("os.fsync", side_effect=full), pytest.raises(RefusedError, match="cannot be written down: .*: No space"):
        claim_plan(held, tmp_path, NOW, "run-1")
    claim_plan(held, tmp_path, NOW, "run-2")


def test_a_spoilt_note_of_it_counts_as_executed(plan: SavedPlan, tmp_path: Path) -> None:
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans" / f"{plan.digest}.json").write_bytes(b"\xff")
    with pytest.raises(RefusedError, match="was executed before, by a run whose name is lost"):
        claim_plan(HeldPlan(tmp_path / "plan.json", plan), tmp_path, NOW, "run-2")


def test_its_time_is_over(plan: SavedPlan, tmp_path: Path) -> None:
    held = HeldPlan(tmp_path / "plan.json", plan)
    with pytest.raises(RefusedError, match="expired at 2026-01-01T01:00:00") as caught:
        refuse_used_plan(held, tmp_path, "2026-01-01T01:00:00+00:00")
    assert caught.value.reason.code == "PlanExpired"
    assert not any("ITS TIME IS OVER" in line for line in format_plan(plan, NOW))
    assert any("ITS TIME IS OVER" in line for line in format_plan(plan, plan.expires))


def test_it_is_shown_without_a_word_that_a_terminal_obeys(plan: SavedPlan) -> None:
    lines = format_plan(replace(plan, cluster="\x1b[2J\nforged"), NOW)
    assert not any("\x1b" in line or "\n" in line for line in lines)
    text = "\n".join(lines)
    assert (
        "change 1           remove s5.global (127.0.0.15:4647), by step remove: 5 -> 4 voters, 3 are a quorum, " in text
    )
    assert "4 of them live and follow the leader, failure tolerance 1" in text
