"""What the leader says of its cluster through any server's door: settings, its pulse, and a proof of its quorum."""

from __future__ import annotations

from typing import Any

from runbook.cluster.hashicorp import replies
from runbook.cluster.hashicorp.client import Client
from runbook.cluster.hashicorp.pulse import (
    BEAT,
    LIFE,
    HealthSample,
    health_rows,
    sample_from_data,
    sample_to_data,
)
from runbook.errors import ClusterError
from runbook.raft.model import AutopilotSettings, ClusterView

AUTOPILOT = "/v1/operator/autopilot"
HEALTH = f"{AUTOPILOT}/health"
MEMORY = 900.0  # seconds for which a check compares with the sample of the one before it
RECENT = 5.0  # seconds: with a sample that is older the next one makes a sign of life that counts for no quorum


def ask_settings(client: Client, url: str, until: float) -> tuple[AutopilotSettings | None, str | None]:
    """The leader's settings, or why there are none."""
    place = f"{AUTOPILOT}/configuration"  # not ?stale: a follower that lags holds an older minimum
    try:
        return replies.autopilot_settings(client.get(url, place, until), url + place), None
    except ClusterError as error:
        return None, error.sentence


def ask_for_proof(client: Client, url: str, until: float) -> str | None:
    """By which read the leader has just confirmed itself with a majority of voters; None where it did not."""
    path = client.dialect.consistent_read
    if not path:
        return None
    try:
        reply = client.checked(url, "GET", path, client.left(until))
    except ClusterError:
        return None
    if reply.headers.get("x-consul-effective-consistency") != "consistent":
        return None
    return f"GET {path} was answered, for which the leader asks a majority of the voters"


def ask_health(client: Client, url: str, until: float) -> HealthSample | None:
    """One sample of autopilot's health; None where it cannot be had, as it is one voice among several."""
    asked_at = client.network.monotonic()
    try:
        told = client.get(url, HEALTH, until, (200, 429))
    except ClusterError:
        return None
    return HealthSample(asked_at, client.network.monotonic(), health_rows(told), replies.unhealthy(told))


class Pulse:
    """The samples of autopilot's health of the last seconds, oldest first."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.samples: tuple[HealthSample, ...] = ()
        self._life = LIFE

    def keep(self, sample: HealthSample | None) -> None:
        """Forget what is too old to say anything of now."""
        now = self._client.network.monotonic()
        kept = [each for each in (*self.samples, sample) if each is not None and now - each.asked_at <= self._life]
        self.samples = tuple(kept)

    def record(self) -> Any:
        """The sample with which a later process compares its own: the newest, but for one that came just before it."""
        if not self.samples:
            return None
        first, newest = self.samples[0], self.samples[-1]
        return sample_to_data(first if newest.asked_at - first.came_at < BEAT else newest)

    def resume(self, record: Any, now: float) -> None:
        """Begin with the sample of an earlier process; with nothing where it is none, or none of this hour."""
        sample = sample_from_data(record)
        if sample is not None and sample.asked_at <= sample.came_at <= now:
            self._life = MEMORY
            self.keep(sample)

    def wait_for_a_beat(self, url: str, until: float) -> None:
        """So that the next sample has one before it that is old enough to compare with, and no older than needed."""
        now = self._client.network.monotonic
        if any(BEAT <= now() - sample.came_at <= RECENT for sample in self.samples):
            return
        if not any(now() - sample.came_at < BEAT for sample in self.samples):
            self.keep(ask_health(self._client, url, until))
        waited = max((age for sample in self.samples if (age := now() - sample.came_at) < BEAT), default=None)
        if waited is not None:
            self._client.network.sleep(min(BEAT - waited, self._client.left(until)))


def needs_pulse(view: ClusterView) -> bool:
    """Whether somebody of whom nothing was heard may live, by all that the leader's own gossip says, if it was read."""
    held = view.opinions.get(view.leader_id or "", {})
    unheard = [peer for peer in (view.configuration.peers if view.configuration else ()) if not view.vantage_of(peer)]
    return any(peer.id not in held or not held[peer.id].says_gone for peer in unheard)
