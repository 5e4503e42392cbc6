"""The pulse: a proof of life by the leader's own words, through whichever server's door.

Every 2 s the leader asks each server for its Raft numbers and shows them in autopilot's health. While a server lives,
its ``LastContact`` is another number at every refresh; of one that is dead, frozen or cut off it is ``-1ns`` or stays
the same to the nanosecond (docs/servers/raft.md#the-pulse). What does not change is no sign of death.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runbook.cluster.hashicorp.replies import SERVERS_LIMIT
from runbook.dataclass import dataclass
from runbook.decode import ODD, go_seconds, number, text_of

BEAT = 2.5  # seconds that two samples are apart at least: the leader refreshes its numbers every 2 s
LIFE = 15.0  # seconds for which a sample is kept: an older sign of life says little of now
REFRESH = 2.0  # seconds that the numbers in a reply are old at most


@dataclass(frozen=True)
class HealthRow:
    """One server as the leader's autopilot has it. ``contact`` is the leader's own spelling of its last contact."""

    server_id: str
    gossip: str | None
    leads: bool
    contact: str
    term: int
    index: int

    @property
    def seconds(self) -> float | None:
        """Since it heard from the leader; None where it did not answer, which the leader spells ``-1ns``."""
        return go_seconds(self.contact)


@dataclass(frozen=True)
class HealthSample:
    """One reply of autopilot's health, from when it was asked for to when it came, by the tool's own clock.

    ``unhealthy`` are the ids that it calls so; None where it is no picture.
    """

    asked_at: float
    came_at: float
    rows: Mapping[str, HealthRow]
    unhealthy: frozenset[str] | None = None

    @property
    def leader(self) -> HealthRow | None:
        """The one server that it names leader: right after an election there is none."""
        leading = [row for row in self.rows.values() if row.leads]
        return leading[0] if len(leading) == 1 else None

    @property
    def reign(self) -> tuple[str, int] | None:
        """The leader and its term. Old releases show even the leader without a term now and then: then none is told."""
        return (self.leader.server_id, self.leader.term) if self.leader and self.leader.term > 0 else None


@dataclass(frozen=True)
class Beat:
    """A server answered the leader at some moment of the ``age`` seconds before the newest sample; ``contact`` is its
    own word on how long before that it had heard from the leader.
    """

    age: float
    contact: float


def health_rows(reply: Any) -> dict[str, HealthRow]:
    """The servers in a reply by their ids; none where the reply is no picture, as right after an election."""
    try:
        rows = [_row(entry) for entry in (reply["Servers"] or ())[:SERVERS_LIMIT]]
    except ODD:
        return {}
    return {row.server_id: row for row in rows}


def sample_to_data(sample: HealthSample) -> dict[str, Any]:
    """As plain data, for a later process."""
    rows = [[r.server_id, r.gossip, r.leads, r.contact, r.term, r.index] for r in sample.rows.values()]
    return {"asked_at": sample.asked_at, "came_at": sample.came_at, "rows": rows}


def sample_from_data(data: Any) -> HealthSample | None:
    """The sample again; None for whatever else lay there."""
    try:
        entries = data["rows"][:SERVERS_LIMIT]
        keys = ("ID", "SerfStatus", "Leader", "LastContact", "LastTerm", "LastIndex")
        rows = [_row(dict(zip(keys, entry, strict=True))) for entry in entries]
        asked_at, came_at = float(data["asked_at"]), float(data["came_at"])
    except ODD:
        return None
    return HealthSample(asked_at, came_at, {row.server_id: row for row in rows})


def _row(entry: dict[str, Any]) -> HealthRow:
    return HealthRow(
        server_id=str(entry["ID"]),
        gossip=text_of(entry.get("SerfStatus")),
        leads=entry.get("Leader") is True,
        contact=text_of(entry.get("LastContact")) or "",
        term=number(entry.get("LastTerm")) or 0,
        index=number(entry.get("LastIndex")) or 0,
    )


def beats(samples: Sequence[HealthSample]) -> dict[str, Beat]:
    """Who answered the leader between two of these samples, oldest first; the newest sign of life of each.

    Only samples count that name the same leader, in the same term of it, as the newest that tells a term does.
    """
    reigns = [sample.reign for sample in samples if sample.reign is not None]
    if not reigns or samples[-1].leader is None or samples[-1].leader.server_id != reigns[-1][0]:
        return {}
    same = [sample for sample in samples if sample.reign == reigns[-1]]
    found: dict[str, Beat] = {}
    for place, later in enumerate(same):
        earlier = next((s for s in reversed(same[:place]) if later.asked_at - s.came_at >= BEAT), None)
        for server_id, row in later.rows.items() if earlier else ():
            before = earlier.rows.get(server_id) if earlier else None
            if earlier and before and _is_alive(before, row):
                found[server_id] = Beat(samples[-1].came_at - earlier.asked_at + REFRESH, row.seconds or 0.0)
    return found


def _is_alive(before: HealthRow, after: HealthRow) -> bool:
    """An index that fell, a row without a term or a contact that is negative is no sign of life."""
    if None in (before.seconds, after.seconds) or not before.term or not after.term or after.index < before.index:
        return False
    return after.contact != before.contact or after.index > before.index
