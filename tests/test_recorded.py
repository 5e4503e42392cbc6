"""Every event of ours can be read back, and one that is not whole is refused by name."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from runbook import changes, cluster_events, events, removals
from runbook.errors import TransitionError
from runbook.recorded import FITS, fold_recorded

AT = "2026-01-01T00:00:00.000+00:00"
STARTED: dict[str, Any] = {
    "at": AT, "kind": "run.started", "run": "r", "playbook": "p", "digest": "d", "cluster": "c", "who": "w",
    "dry_run": False, "params": {},
}  # fmt: skip


def test_every_field_of_every_event_has_a_form() -> None:
    """Else a new event could not be read back."""
    kinds = [
        one
        for module in (events, cluster_events, removals, changes)
        for one in vars(module).values()
        if isinstance(one, type)
    ]
    annotations = {
        str(field.type) for one in kinds if issubclass(one, events.Event) for field in dataclasses.fields(one)
    }
    assert annotations - set(FITS) == set()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"dry_run": "false"}, "run.started: dry_run is of another type"),
        ({"params": []}, "run.started: params is of another type"),
        ({"format": 2**70}, "run.started: format is of another type"),
        ({"format": True}, "run.started: format is of another type"),
        ({"who": None}, "run.started: who is of another type"),
        ({"at": "2026-01-01T00:00:00"}, "run.started has no time with a time zone"),
        ({"at": 5}, "run.started has no time with a time zone"),
        ({"kind": None}, "it has no kind"),
    ],
)
def test_an_event_that_is_not_whole_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(TransitionError, match=f"^event 1: {words}$"):
        fold_recorded([{**STARTED, **change}])


@pytest.mark.parametrize("name", ["run", "playbook", "digest", "cluster", "who", "dry_run", "params"])
def test_an_event_that_lacks_a_field_is_refused(name: str) -> None:
    lacking = {key: value for key, value in STARTED.items() if key != name}
    with pytest.raises(TransitionError, match=f"run.started has no {name}"):
        fold_recorded([lacking])


def test_an_older_record_and_a_newer_one_are_read() -> None:
    """A field that came later has a default; what this version does not know says nothing."""
    state = fold_recorded(
        [STARTED, {"at": AT, "kind": "of.tomorrow", "x": {}}, {**STARTED, "kind": "run.completed", "message": "m"}]
    )
    assert state.state == "completed"
