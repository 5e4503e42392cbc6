"""What is held of every peer over the looks of a run, by what a playbook asks for and what a person has confirmed; and
which voters one look proves neither alive nor dead.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from runbook.dataclass import dataclass
from runbook.raft.listeners import mute_listener
from runbook.raft.liveness import Liveness, Verdict, judge, judge_once
from runbook.raft.model import ClusterView, Peer, named
from runbook.raft.opinions import OpinionKind
from runbook.raft.probes import ProbeMeaning, probe_evidence


@dataclass(frozen=True)
class DeathCriteria:
    """What makes *dead*: for how many seconds a peer must look so, and in how many looks at least.

    ``confirm_final_for`` stands in the place of ``confirm_for`` where a removed server cannot come back with its data.
    """

    confirm_for: float = 30.0
    least_looks: int = 2
    confirm_final_for: float = 300.0

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> DeathCriteria:
        """Those of the event ``verdict.criteria``; older journals do not tell removals apart by how final they are."""
        final = float(record.get("confirm_final_for", cls.confirm_final_for))
        return cls(float(record["confirm_for"]), int(record["looks"]), final)

    @property
    def longest(self) -> float:
        """The longer of the two times, for limits that are set before anything is known of the cluster."""
        return max(self.confirm_for, self.confirm_final_for)

    def seconds(self, looks: Sequence[ClusterView]) -> float:
        """For how long in this cluster, by the newest look."""
        return self.confirm_final_for if looks and looks[-1].removal_is_final else self.confirm_for


def verdicts_of(
    looks: Sequence[ClusterView], criteria: DeathCriteria, confirmed_off: Collection[str] = ()
) -> dict[str, Verdict]:
    """By the id of each peer of the newest look. ``confirmed_off``: what a person calls the servers that are off."""
    newest = looks[-1].best_configuration if looks else None
    return {
        peer.id: judge(
            looks,
            peer,
            confirm_for=criteria.seconds(looks),
            least_looks=criteria.least_looks,
            confirmed_off=is_meant(looks[-1], peer, confirmed_off),
        )
        for peer in (newest.peers if newest else ())
    }


def is_meant(view: ClusterView, peer: Peer, names: Collection[str]) -> bool:
    """Whether one of these names is this server's and no other's."""
    seen = view.best_configuration
    return any(seen is not None and named(seen, name) == (peer,) for name in names)


UNDECIDED = "Undecided"  # the code of the refusal for a run that found nothing else to do
LONGER = "It looks dead, and was not seen so for long enough"


@dataclass(frozen=True)
class Undecided:
    """One voter: what is wrong with it, and what would settle it."""

    name: str
    sign: str
    settled_by: str


def undecided_voters(view: ClusterView) -> tuple[Undecided, ...]:
    """Those with a sign of trouble, by a look at a cluster with a leader; without one nobody knows who votes.

    Who is only out of sight, with the leader having nothing against it, shows none: most clusters are run with one
    door.
    """
    voters = view.configuration.voters if view.configuration else ()
    verdicts = (judge_once(view, peer) for peer in voters)
    found = ((verdict, _sign(view, verdict)) for verdict in verdicts if verdict.liveness is not Liveness.ALIVE)
    return tuple(_told(verdict, sign) for verdict, sign in found if sign is not None)


def _sign(view: ClusterView, verdict: Verdict) -> str | None:
    """What any server holds against it, or that it accepts connections and says nothing; or, where nobody's opinion can
    be had, that it does not even accept them.
    """
    opinions = view.opinions_of(verdict.peer)
    for by, opinion in opinions.items():
        if opinion.kind not in (OpinionKind.HEARD, OpinionKind.PRESENT):
            return f"{opinion.source} of {view.label_of(by)}: {opinion.words}"
    probe = probe_evidence(view, verdict.peer)
    if not opinions and probe.meaning is not ProbeMeaning.LISTENS:
        return f"no server's opinion of it could be read, and {probe.words}"
    listener = mute_listener(view, verdict.peer)
    return f"{listener.url} accepts connections but does not answer" if listener else None


def _told(verdict: Verdict, sign: str) -> Undecided:
    words = dict.fromkeys((*verdict.evidence[:1], sign))
    settled_by = LONGER if verdict.liveness is Liveness.DEAD else verdict.settled_by
    return Undecided(verdict.peer.label, "; ".join(words), settled_by)
