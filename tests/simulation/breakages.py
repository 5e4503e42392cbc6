"""The proof of the proof: guards broken on purpose, one at a time, each of which the simulation must notice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from runbook.changes import ChangesFolding
from runbook.cluster import http
from runbook.cluster.hashicorp import replies
from runbook.cluster.hashicorp.adapter import HashiCorpCluster
from runbook.engine import change_guards, execute, runner
from runbook.engine.change_guards import ChangeGuards
from runbook.engine.shadow import Shadow
from runbook.raft import liveness, plan_basis, probes, removal, verdicts
from runbook.raft.model import ClusterView
from runbook.run_state import RunState
from runbook.steps.raft import find_dead, looking, settling
from runbook.steps.raft.remove_peer import remove_peer
from tests.simulation import broken


@dataclass(frozen=True)
class Breakage:
    """``patches`` are (where, name, what instead). ``caught_at`` is a seed that is known to notice it: tried first."""

    name: str
    patches: tuple[tuple[Any, str, Any], ...]
    caught_at: int = 0

    @contextmanager
    def made(self) -> Iterator[None]:
        with ExitStack() as stack:
            for where, name, instead in self.patches:
                stack.enter_context(patch.object(where, name, instead))
            yield


BREAKAGES = (
    Breakage("unknown is counted as dead", ((verdicts, "judge", broken.unknown_is_dead),)),
    Breakage(
        "one look is enough",
        ((verdicts, "judge", broken.newest_look_is_enough), (looking, "_unconfirmed", lambda *_: [])),
    ),
    Breakage("gossip is not asked", ((liveness, "_doubt_of_others", broken.no_life_here),), 51),
    Breakage("only the leader's gossip counts", ((ClusterView, "opinions_of", broken.only_the_leaders),), 0),
    Breakage("the own probe is ignored", ((liveness, "_doubt_from_here", broken.no_life_here),), 28),
    Breakage(
        "a frozen process with a full queue is dead", ((liveness, "probe_evidence", broken.silence_is_death),), 35
    ),
    Breakage("a refused port is a dead process", ((probes, "_refused", broken.refused_is_dead),), 439),
    Breakage("a silent machine is dead at once", ((liveness, "SILENT_MACHINE", 0.0),), 35),
    Breakage("a removal may follow from an old look", ((settling, "FRESH", float("inf")),), 27),
    Breakage(
        "looks may be far apart", ((liveness, "MAX_GAP", float("inf")), (looking, "LOOK_EVERY", float("inf"))), 588
    ),
    Breakage("non-voters are counted into quorum", ((removal, "_refusal_for_quorum", broken.counting_everybody),), 45),
    Breakage("no quorum is asked for", ((removal, "_refusal_for_quorum", broken.only_the_floor),), 1875),
    Breakage("min_voters is ignored", ((removal, "_refusal_for_quorum", broken.without_floor),), 45),
    Breakage("MinQuorum is not read", ((replies, "autopilot_settings", lambda *_: broken.NO_MINIMUM),), 70),
    Breakage(
        "a silent leader is not spared",
        ((removal, "_refusal_for_target", broken.leader_too), (verdicts, "judge", broken.leader_is_dead)),
        261,
    ),
    Breakage("there is no fence", ((plan_basis, "refusal_if_plan_is_stale", lambda *_: None),), 125),
    Breakage("a yes is believed without a look", ((settling, "settle", broken.done_at_once),)),
    Breakage("after a lost reply it sends again", ((settling, "_send_removal", broken.asked_twice),), 27),
    Breakage("it acts before it writes", ((settling, "remove_and_settle", broken.acts_before_it_writes),)),
    Breakage(
        "a dry run is in earnest",
        ((Shadow, "remove_peer", broken.in_earnest), (http, "is_dry_run", broken.no_dry_run)),
        22,
    ),
    Breakage(
        "a refusal does not stop it",
        ((runner, "body_of", broken.removing_by(broken.goes_on_after_a_no(remove_peer))),),
        0,
    ),
    Breakage("the lock is not taken", ((ChangeGuards, "acquire", lambda *_: None),)),
    Breakage(
        "an old configuration is taken for the leader's",
        ((HashiCorpCluster, "_read_configuration", broken.stale_is_good_enough),),
        10,
    ),
    Breakage("a resumed run forgets what it asked for", ((RunState, "apply", broken.forgets_what_it_asked_for),), 290),
    Breakage(
        "a resumed run frees only what it claimed itself",
        ((RunState, "_apply_other", broken.forgets_what_was_claimed_before),),
        830,
    ),
    Breakage("a run that is over bars the next one", ((RunState, "released", ""),), 234),
    Breakage("commands are not counted", ((change_guards, "refusal_over_max_changes", broken.no_refusal),), 41),
    Breakage("no guard is asked how the cluster stands", ((change_guards, "refusal_to_change", broken.no_refusal),), 9),
    Breakage("nobody is asked before a change", ((ChangeGuards, "permit", broken.unasked),)),
    Breakage("what was cut off is run again", ((execute, "settle_open_changes", broken.all_is_open),), 23),
    Breakage("a refusal is taken for an end", ((ChangesFolding, "take", broken.a_refusal_is_an_end),), 176),
    Breakage("settling has no limit", ((settling, "SETTLE", float("inf")),), 145),
    Breakage("a minimum that cannot be read is none", ((looking, "refusal_to_remove", broken.unread_is_none),), 101),
    Breakage("a removal without an answer is settled at once", ((settling, "HELD_FOR", 0.0),), 383),
    Breakage("a server that hangs holds nothing", ((settling, "_what_a_look_says", broken.no_server_hangs),), 214),
    Breakage(
        "a removal that may yet be done is not counted",
        ((looking, "reason_against_removal", broken.only_as_it_is),),
        6725,
    ),
    Breakage("a removal that failed is a recovery", ((execute, "_never_asked_for", broken.no_refusal),), 268),
    Breakage("there is nothing to do beside a voter in trouble", ((execute, "_undecided", broken.no_refusal),), 28),
    Breakage("its own removals are somebody else's", ((settling, "_record_removed", broken.by_somebody_else),)),
    Breakage("a person's word outweighs every doubt", ((liveness, "_judge_look", broken.word_is_enough),), 88),
    Breakage("finding the dead has no limit", ((find_dead, "SETTLE", float("inf")),), 283),
)
