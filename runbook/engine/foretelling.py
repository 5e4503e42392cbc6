"""A dry run: what a run may use of the world, with a shadow in the place of the cluster, and what it foresees in words.

All that a real run asks for is asked for here too, and nothing is held: the lock, the cool-down, a person's agreement.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace
from typing import Any

from runbook.changes import ChangeBegun, ChangeWouldBegin
from runbook.cluster_events import ClusterClaimed
from runbook.engine.services import RunServices
from runbook.engine.shadow import Shadow
from runbook.errors import RefusedError
from runbook.events import Approved, Event, StepCompleted, StepFailed, StepSkipped
from runbook.label import Label
from runbook.playbook.approval_rule import ApprovalRule
from runbook.raft.liveness import judge_once
from runbook.raft.model import ClusterView
from runbook.raft.plan_basis import leader_term
from runbook.raft.quorum import voters_in_contact
from runbook.raft.verdicts import is_meant
from runbook.removals import RemovalConfirmed, RemovalRequested, RemovalUnsettled, RemovalWouldBeRequested
from runbook.run_state import RunState
from runbook.shadow_events import Foreseen, RemovalWouldBeConfirmed, ShadowEnded, WouldBeApproved
from runbook.steps.context import Agreement

WOULD: dict[type[Event], type[Event]] = {
    RemovalRequested: RemovalWouldBeRequested,
    RemovalConfirmed: RemovalWouldBeConfirmed,
    ChangeBegun: ChangeWouldBegin,
    Approved: WouldBeApproved,
}
"""What a real run does, as a dry run tells it: nobody who reads a log may take the one for the other."""
NOT_TOLD = (ClusterClaimed, RemovalUnsettled)  # a dry run holds nothing, and has sent nothing


class Foretelling:
    """One dry run. ``services`` are what its steps may use."""

    def __init__(self, services: RunServices, state: RunState) -> None:
        self._emit_as_told = services.emit
        self._real = services
        self._state = state
        self._shadow = Shadow(services.cluster, services.clock, state, self.emit)
        self._began = self._shadow.monotonic()
        self._counts: Counter[Label] = Counter()
        self._unknown: dict[str, str] = {}
        self._waits = 0.0
        self._asked: dict[str, str] = {}
        self.services = replace(
            services,
            cluster=self._shadow,
            clock=self._shadow,
            emit=self.emit,
            acquire=self._ask_for_lock,
            check_free=self._ask_for_lock,
            check_permission=self._ask_for_permission,
            check_cooldown=self._ask_for_cooldown,
            approve=self._ask_for_agreement,
            check_approved=self._ask_for_signatures,
            choose=services.would_choose,
        )

    def emit(self, event: Event) -> None:
        """As what would be, with its label."""
        told = event if isinstance(event, Foreseen) else Foreseen(event)
        if isinstance(told.event, NOT_TOLD):
            return
        label = told.label or (Label.SIMULATED if self._shadow.simulated else Label.LIVE)
        inner = _as_would(told.event)
        if inner is not told.event and told.label is not Label.UNKNOWN:
            label = Label.SIMULATED
        self._waits += told.waits
        self._count(inner, label)
        self._emit_as_told(Foreseen(inner, label, self._shadow.monotonic() - self._began))

    def _count(self, event: Event, label: Label) -> None:
        if not isinstance(event, StepCompleted | StepFailed | StepSkipped):
            return
        self._counts[label] += 1
        if label is Label.UNKNOWN and event.message:  # a block has none: it is what is in it
            self._unknown[event.step] = event.message.partition("\n")[0]

    def over(self) -> None:
        """Tell what the whole of it foresees."""
        self.emit(
            ShadowEnded(
                peers=tuple(
                    {"id": peer.id, "address": peer.address, "name": peer.label, "voter": peer.voter}
                    for peer in self._shadow.peers
                ),
                seconds=round(self._shadow.monotonic() - self._began, 1),
                waits=self._waits,
                counts={label.value: self._counts[label] for label in Label},
                unknown=dict(self._unknown),
                asked=dict(self._asked),
                seen=describe_seen(self._shadow.seen, self._state) if self._shadow.seen else {},
            )
        )

    # -- what a real run asks for

    def _ask_for_lock(self, peers: frozenset[str]) -> None:
        self._asked["lock"] = "another run holds the cluster"
        self._real.check_free(peers)
        self._asked["lock"] = "no other run holds the cluster"

    def _ask_for_permission(self) -> bool:
        """It is told of only where the cluster says something."""
        try:
            told = self._real.check_permission()
        except RefusedError:
            self._asked["permission"] = "a right is missing"
            raise
        if told:
            self._asked["permission"] = "the cluster would accept a removal"
        return told

    def _ask_for_cooldown(self, peers: frozenset[str]) -> None:
        self._asked["cool-down"] = "it is not over"
        self._real.check_cooldown(peers)
        self._asked["cool-down"] = "nothing waits for it"

    def _ask_for_signatures(self, rules: tuple[ApprovalRule, ...]) -> tuple[Agreement, ...]:
        self._asked["signatures"] = "they are not enough"
        signed = self._real.check_approved(rules)
        needed = " and ".join(f"{rule.count} of {rule.by}" for rule in rules)
        by = ", ".join(one.who for one in signed)
        self._asked["signatures"] = f"the plan is signed by {by}" if signed else f"the plan needs them: {needed}"
        return signed

    def _ask_for_agreement(self, sentence: str, seconds: float) -> Agreement | None:
        agreed = self._real.would_approve(sentence, seconds)
        self._asked["agreement"] = agreed.how if agreed else "nobody can be asked"
        return agreed


def describe_seen(view: ClusterView, state: RunState) -> dict[str, Any]:
    """What of a look a plan is bound to, as plain data."""
    seen, contact = view.best_configuration, voters_in_contact(view)
    servers = []
    for peer in seen.peers if seen else ():
        verdict = judge_once(view, peer, confirmed_off=is_meant(view, peer, state.confirmed_off))
        told = {"id": peer.id, "address": peer.address, "name": peer.label, "voter": peer.voter}
        held = {"verdict": verdict.liveness.value, "in_contact": peer.id in contact}
        servers.append({**told, **held, "evidence": "; ".join(verdict.evidence)})
    return {
        "identities": sorted(view.identities),
        "leader": view.leader_id,
        "term": leader_term(view),
        "quorum_proof": view.quorum_proof,
        "servers": servers,
    }


def _as_would(event: Event) -> Event:
    kind = WOULD.get(type(event))
    return event if kind is None else kind(**{field.name: getattr(event, field.name) for field in fields(event)})
