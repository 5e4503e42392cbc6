"""``runbook recover plan``: what to do on which host when quorum is lost for good. It changes nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from runbook.cli.options import FORMAT, cluster_options, parse_choice, parse_duration_option

if TYPE_CHECKING:
    from runbook.cluster.choice import ClusterChoice
    from runbook.raft.lost_quorum import RecoveryEvidence
    from runbook.raft.model import ClusterView


@click.group()
def recover() -> None:
    """When quorum is lost for good."""


@recover.command()
@click.option(
    "--lost",
    multiple=True,
    metavar="NAME",
    help="A server of which you know that it is gone for good, one at a time; repeatable. If it still runs, what it "
    "accepted since the cut will be lost without a word.",
)
@click.option(
    "--confirm-for",
    default="30s",
    show_default=True,
    metavar="DURATION",
    callback=parse_duration_option,
    help="For how long nobody may lead and nobody come back.",
)
@click.option("--unit", help="The servers' systemd unit; called after the product unless given.")
@FORMAT
@cluster_options
def plan(lost: tuple[str, ...], confirm_for: float, unit: str | None, form: str, **which: Any) -> None:
    """Print how to recover a lost quorum: whose log is furthest, what may be lost, and the commands for each host.

    It only reads, on the hosts of an inventory too. It refuses while quorum may come back by itself, and while silence
    is all there is of a server: then find out on its host that it does not run, and name it with --lost. Nothing that
    still shows life can be named.

    Exit: 0 a plan was printed, 2 settings, 3 refused.
    """
    sys.exit(print_recovery_plan(lost, confirm_for, unit, form, os.environ, parse_choice(**which)))


def print_recovery_plan(
    lost: Sequence[str],
    confirm_for: float,
    unit: str | None,
    form: str,
    environment: Mapping[str, str],
    choice: ClusterChoice,
) -> int:
    """Returns the exit code. Raises as chosen_cluster does, and RefusedError where there is no plan."""
    from runbook.cli.output import Output
    from runbook.clock import SystemClock, wait
    from runbook.cluster.choice import chosen_cluster, chosen_hosts
    from runbook.errors import RefusedError
    from runbook.raft.lost_quorum import (
        BY_ANOTHER_LOOK,
        PATIENCE,
        RecoveryEvidence,
        pause_between_looks,
        plan_recovery,
    )
    from runbook.raft.lost_quorum_text import format_plan
    from runbook.raft.removal import Refusal
    from runbook.steps.raft.survivor_hosts import words_of_hosts

    cluster, clock, output = chosen_cluster(choice, environment, read_only=True), SystemClock(), Output()
    output.redactor.learn_all(cluster.secrets)
    hosts = chosen_hosts(choice, environment)
    looks: list[ClusterView] = []

    def enough() -> RecoveryEvidence | None:
        """What was seen, once another look would not change what is decided on it."""
        looks.append(cluster.look())
        words = words_of_hosts(looks[-1], hosts)
        evidence = RecoveryEvidence(looks, words, named_peers(looks[-1], lost), confirm_for)
        made = plan_recovery(evidence)
        return None if isinstance(made, Refusal) and made.code in BY_ANOTHER_LOOK else evidence

    def tell_and_pause(waited: float, _held: int) -> float:
        left = max(0.0, confirm_for - waited)
        more = f"looking for {left:.0f} s more" if left else "looking once more"
        output.note(f"runbook: {_format_look(looks[-1])}; {more}, whether anybody leads or comes back")
        return pause_between_looks(confirm_for)

    evidence = wait(clock, enough, every=tell_and_pause, within=confirm_for + PATIENCE)
    made = plan_recovery(evidence or RecoveryEvidence(looks, confirm_for=confirm_for))
    if isinstance(made, Refusal):
        raise RefusedError(made)
    if form == "json":
        output.json(made.record(), indent=2)
    else:
        output.text("\n".join([*format_plan(made, unit), ""]))
    return 0


def named_peers(view: ClusterView, names: Sequence[str]) -> frozenset[str]:
    """The ids of the servers that are meant. Raises SettingsError for a name that no server has, or several have."""
    from runbook.errors import SettingsError
    from runbook.raft.lost_quorum import peers_of

    found, peers = set(), peers_of(view)
    for name in names if peers else ():
        meant = [peer for peer in peers if name in (peer.id, peer.address, peer.label, peer.label.partition(".")[0])]
        if len(meant) != 1:
            known = ", ".join(sorted(peer.label for peer in peers))
            raise SettingsError(
                f"--lost {name} names {'several' if meant else 'none'} of the servers, which are: {known}"
            )
        found.add(meant[0].id)
    return frozenset(found)


def _format_look(view: ClusterView) -> str:
    seen = view.best_configuration
    voters = seen.voters if seen else ()
    return f"{sum(view.vantage_of(peer) is not None for peer in voters)} of {len(voters)} voters answer"
