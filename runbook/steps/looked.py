"""One look as an event: what the record keeps of a view, of which the view itself is too large a part."""

from __future__ import annotations

from collections.abc import Mapping

from runbook.cluster_events import Looked
from runbook.raft.liveness import Liveness, judge_once
from runbook.raft.model import ClusterView, Peer
from runbook.raft.opinions import Opinion, OpinionKind
from runbook.raft.verdicts import undecided_voters

Told = Mapping[str, Mapping[str, tuple[str, ...]]]
SHORT = 8  # letters of a vantage's own word that stands in a table


def looked_event(step: str, view: ClusterView, verdicts: Mapping[str, str], before: ClusterView | None) -> Looked:
    """``before`` is the look before it in this process, and ``verdicts`` are those that it led to: what is as it was is
    not told again.
    """
    judged = [judge_once(view, peer) for peer in _listed(view)]
    leader = next((peer for peer in _listed(view) if peer.id == view.leader_id), None)
    undecided = undecided_voters(view)
    news = [verdict for verdict in judged if verdicts.get(verdict.peer.label) != verdict.liveness.value]
    opinions_before = _opinions(before) if before else {}
    return Looked(
        step=step,
        leader=leader.label if leader else None,
        voters=sum(v.peer.voter for v in judged),
        live_voters=sum(v.peer.voter and v.liveness is Liveness.ALIVE for v in judged),
        verdicts={v.peer.label: v.liveness.value for v in judged},
        undecided={voter.name: voter.sign for voter in undecided},
        settled_by={voter.name: voter.settled_by for voter in undecided},
        non_voters=tuple(v.peer.label for v in judged if not v.peer.voter),
        evidence={v.peer.label: "; ".join(v.evidence) for v in news},
        door=_door(view),
        opinions={name: held for name, held in _opinions(view).items() if held != opinions_before.get(name)},
        contacts=_contacts(view),
        view=view,
    )


def _listed(view: ClusterView) -> tuple[Peer, ...]:
    return view.best_configuration.peers if view.best_configuration else ()


def _opinions(view: ClusterView) -> Told:
    """By the peer's label, by the word: which of the others say so."""
    told: dict[str, dict[str, tuple[str, ...]]] = {}
    for peer in _listed(view):
        words = told[peer.label] = {}
        for by, opinion in sorted(view.opinions_of(peer).items()):
            if by != peer.id:
                word = _word(opinion)
                words[word] = (*words.get(word, ()), view.label_of(by))
    return told


def _word(opinion: Opinion) -> str:
    """The vantage's own, such as gossip's ``failed``, unless that is a sentence."""
    own = opinion.words
    return own if own.isalpha() and len(own) <= SHORT else opinion.kind.value


def _contacts(view: ClusterView) -> dict[str, float]:
    """Seconds since each was in contact with the leader: by its own word, else as the leader has it."""
    found = {}
    for peer in _listed(view):
        own = view.vantage_of(peer)
        held = view.opinions_of(peer).get(view.leader_id or "")
        if peer.id == view.leader_id:
            found[peer.label] = 0.0
        elif own is not None and own.last_contact is not None:
            found[peer.label] = round(own.last_contact, 3)
        elif held is not None and held.kind is OpinionKind.HEARD:
            found[peer.label] = round(held.age, 3)
    return found


def _door(view: ClusterView) -> str:
    """The address at which the leader answered, else another server."""
    doors = sorted(view.answering, key=lambda vantage: vantage.server_id != view.leader_id)
    return doors[0].url if doors else ""
