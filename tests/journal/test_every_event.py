"""Every event that a run can write can be read back: one that is forgotten would make its whole record unreadable."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import runbook
from runbook import recorded
from runbook.events import Event


def every_event(base: type[Event] = Event) -> Iterator[type[Event]]:
    for event in base.__subclasses__():
        yield event
        yield from every_event(event)


def test_every_kind_of_event_is_known_to_the_reader() -> None:
    for module in pkgutil.walk_packages(runbook.__path__, "runbook."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    kinds = {
        str(vars(event)["kind"])
        for event in every_event()
        if event.__module__.startswith("runbook.") and "kind" in vars(event)
    }
    assert len(kinds) > 30
    assert kinds - set(recorded._FIELDS) == set()
