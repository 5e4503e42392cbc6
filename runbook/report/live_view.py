"""What the screen of a run shows, folded from its events: its steps, the cluster before and now, what is awaited."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from typing import Any

from runbook.dataclass import dataclass
from runbook.raft.quorum import VoterCounts
from runbook.report.times import utc
from runbook.run_state import RunState

Record = Mapping[str, Any]
PENDING, RUNNING = "pending", "running"
LOOKS_DEAD, REMOVED = "looks dead", "removed"
ENDS: Mapping[str, str] = {"step.completed": "succeeded", "step.skipped": "skipped", "step.failed": "failed"}
FATES: Mapping[str, str] = {
    "removal.requested": "being removed",
    "removal.confirmed": REMOVED,
    "removal.already_gone": "gone by itself",
    "removal.failed": "",
    "removal.unsettled": "may be removed",
    "removal.still_listed": "still listed",
    "removal.would_be_confirmed": "would be removed",
}
_INSIDE = re.compile(r"[./]")


@dataclass(frozen=True)
class LiveStep:
    """One step. ``began`` and ``ended`` are seconds since the epoch, ``attempt`` counts from 1, ``items`` are done."""

    place: str
    uses: str = ""
    state: str = PENDING
    began: float | None = None
    ended: float | None = None
    attempt: int = 1
    items: int = 0

    @property
    def top(self) -> str:
        """The step of the playbook that it is, or is inside of."""
        return _INSIDE.split(self.place, maxsplit=1)[0]

    @property
    def is_over(self) -> bool:
        return self.state not in (PENDING, RUNNING)

    def seconds(self, now: float) -> float | None:
        """Since it began, or how long it took."""
        return None if self.began is None else max(0.0, (now if self.ended is None else self.ended) - self.began)


@dataclass(frozen=True)
class LiveServer:
    """One server. ``before`` and ``now`` are our verdict in the first look and in the newest, or what became of it.

    ``opinions`` are by the word, who of the others says so. ``contact`` are the seconds since its last contact with the
    leader in the newest look; of who had none in that one, ``heard`` is when it had, since the epoch.
    """

    name: str
    votes: bool = True
    leads: bool = False
    before: str = ""
    now: str = ""
    opinions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    contact: float | None = None
    heard: float | None = None


@dataclass(frozen=True)
class LiveWait:
    """What the run waits for. ``whole`` are the seconds that it takes, where that is known; ``until`` is its end, or
    its limit.
    """

    step: str
    words: str
    since: float
    until: float | None = None
    whole: float | None = None


@dataclass(frozen=True)
class LiveView:
    """All of it, at one moment."""

    playbook: str = ""
    cluster: str = ""
    dry_run: bool = False
    began: float = 0.0
    steps: tuple[LiveStep, ...] = ()
    servers: tuple[LiveServer, ...] = ()
    before: VoterCounts | None = None
    now: VoterCounts | None = None
    wait: LiveWait | None = None


class LiveFold:
    """Takes the events of a run in their order. ``view`` is what is so after them; nothing where no run is at work."""

    def __init__(self) -> None:
        self._view: LiveView | None = None
        self._tops: tuple[str, ...] = ()
        self._steps: dict[str, LiveStep] = {}
        self._servers: dict[str, LiveServer] = {}
        self._fates: dict[str, str] = {}
        self._dead: set[str] = set()
        self._names: dict[str, str] = {}

    def begin(self, state: RunState) -> None:
        """With what earlier processes did of a run that is resumed; of one that is new there is nothing."""
        if state.started is not None:
            self.take(state.started)
        for place, end in state.ends.items():
            self._steps[place] = LiveStep(place, state.uses.get(place, ""), end.outcome)

    def take(self, record: Record) -> None:
        kind, at = str(record["kind"]), utc(str(record["at"])).timestamp()
        if kind.startswith("run."):
            self._take_run(kind, record, at)
        if kind.startswith("step."):
            self._take_step(kind, record, at)
        elif kind in ("item.completed", "item.failed", "attempt.failed"):
            self._take_item(kind, record)
        elif kind == "cluster.looked":
            self._take_look(record, at)
        elif kind in FATES:
            self._take_removal(kind, record, at)

    def view(self) -> LiveView | None:
        if self._view is None:
            return None
        servers = tuple(self._with_fate(server) for _, server in sorted(self._servers.items()))
        return replace(self._view, steps=tuple(self._rows()), servers=servers)

    def _rows(self) -> Iterator[LiveStep]:
        """Those of the playbook, each with what is inside of it and has not ended well."""
        inside = [step for step in self._steps.values() if step.place not in self._tops]
        for top in self._tops:
            yield self._steps[top]
            yield from (step for step in inside if step.top == top and _is_news(step))
        yield from (step for step in inside if step.top not in self._tops and _is_news(step))

    def _take_run(self, kind: str, record: Record, at: float) -> None:
        if kind == "run.started":
            named = str(record["playbook"]), str(record["cluster"]), bool(record["dry_run"])
            self._view = LiveView(*named, began=at)
            self._tops = tuple(str(step) for step in record.get("steps", ()))
            self._steps = {place: LiveStep(place) for place in self._tops}
        elif kind == "run.resumed":
            self._view = replace(self._view or LiveView(cluster=str(record["cluster"])), began=at)
        else:
            self._view = None

    # -- steps

    def _take_step(self, kind: str, record: Record, at: float) -> None:
        place = str(record["step"])
        step = self._steps.get(place, LiveStep(place))
        if kind == "step.waiting":
            self._wait(_wait_of(record, at))
            return
        if kind == "step.started":
            step = replace(step, uses=str(record["uses"]), state=RUNNING, began=at, ended=None, attempt=1, items=0)
            self._wait(LiveWait(place, f"running {step.uses}", at))
        else:
            step = replace(step, state=str(record.get("outcome") or ENDS[kind]), ended=at)
            self._wait(None)
            output = record.get("output")
            for peer in output.get("peers", ()) if step.uses == "raft.find_dead" and output else ():
                self._dead.add(str(peer.get("name")))
        self._steps[place] = step

    def _take_item(self, kind: str, record: Record) -> None:
        step = self._steps.get(str(record["step"]))
        if step is not None and kind == "attempt.failed":
            self._steps[step.place] = replace(step, attempt=int(record["attempt"]) + 1)
        elif step is not None:
            self._steps[step.place] = replace(step, items=step.items + 1, attempt=1)

    def _wait(self, wait: LiveWait | None) -> None:
        """The same wait goes on: of one whose length is not known, it is still told when it began."""
        before = self._view.wait if self._view else None
        if wait is not None and before is not None and (wait.step, wait.words) == (before.step, before.words):
            wait = replace(wait, since=min(wait.since, before.since))
        if self._view is not None:
            self._view = replace(self._view, wait=wait)

    # -- the cluster

    def _take_look(self, record: Record, at: float) -> None:
        leader, contacts, opinions = record["leader"], record.get("contacts", {}), record.get("opinions", {})
        for name, verdict in record["verdicts"].items():
            server = self._servers.get(name, LiveServer(name, before=verdict))
            contact = contacts.get(name)
            self._servers[name] = replace(
                server,
                votes=name not in record.get("non_voters", ()),
                leads=name == leader,
                now=verdict,
                opinions={word: tuple(by) for word, by in opinions[name].items()}
                if name in opinions
                else server.opinions,
                contact=contact,
                heard=server.heard if contact is None else at - contact,
            )
        for name in [name for name in self._servers if name not in record["verdicts"]] if record["verdicts"] else ():
            self._servers[name] = replace(self._servers[name], now="gone", leads=False, contact=None, opinions={})
        if leader is not None and self._view is not None:
            counts = VoterCounts(record["voters"], record["live_voters"])
            self._view = replace(self._view, before=self._view.before or counts, now=counts)

    def _take_removal(self, kind: str, record: Record, at: float) -> None:
        peer = str(record["peer"])
        name = self._names[peer] = str(record.get("name") or self._names.get(peer, peer))
        self._fates[name] = FATES[kind]
        if kind == "removal.requested":
            step = str(record["step"])
            self._wait(LiveWait(step, f"waiting until every server agrees that {name} is gone", at))
        elif self._view is not None and self._view.wait is not None:
            self._wait(LiveWait(str(record["step"]), f"running {self._uses(record)}", at))

    def _uses(self, record: Record) -> str:
        step = self._steps.get(str(record["step"]))
        return step.uses if step else "the step"

    def _with_fate(self, server: LiveServer) -> LiveServer:
        fate = self._fates.get(server.name, "")
        before = _seen(server.before, server.name in self._dead)
        if server.now != "gone" and fate in (REMOVED, "gone by itself"):  # seen again in a later look
            return replace(server, before=before, now="added back" if fate == REMOVED else server.now)
        return replace(server, before=before, now=fate or _seen(server.now, server.name in self._dead))


def _seen(verdict: str, confirmed: bool) -> str:
    """One look does not make anybody dead."""
    return LOOKS_DEAD if verdict == "dead" and not confirmed else verdict


def _is_news(step: LiveStep) -> bool:
    return step.state not in ("succeeded", "skipped")


def _wait_of(record: Record, at: float) -> LiveWait:
    passed, whole = record.get("passed"), record.get("whole")
    place, words = str(record["step"]), str(record["reason"])
    if passed is None or whole is None:
        return LiveWait(place, words, at, at + float(record["seconds"]))
    return LiveWait(place, words, at - passed, at - passed + whole, whole)
