"""``doctor``: everything looked at once that a recovery tonight would need, and nothing changed."""

from __future__ import annotations

import shutil
from collections.abc import Mapping

from runbook.clock import seconds as now
from runbook.cluster import threads
from runbook.cluster.choice import (
    ClusterChoice,
    chosen_addresses,
    chosen_approval,
    chosen_cluster,
    chosen_hosts,
    settled,
)
from runbook.cluster.network import own_addresses
from runbook.cluster.port import reason_not_permitted
from runbook.errors import PlaybookError, RunbookError, SettingsError, StepError
from runbook.files import is_shared
from runbook.hosts.host import Host
from runbook.hosts.spec import HostSpec
from runbook.inspection.findings import ClusterFacts, DoctorLine, examine
from runbook.inspection.machine import look_at_machine
from runbook.redaction import Redactor
from runbook.session.run_folders import state_folder
from runbook.signatures import read_allowed_signers

HOSTS_WITHIN = 20.0  # seconds for all hosts together
PERMISSION_WITHIN = 5.0


def run_doctor(choice: ClusterChoice, environment: Mapping[str, str], redactor: Redactor) -> tuple[DoctorLine, ...]:
    """All that was found. Never raises for a cluster that is ill, or that cannot be asked."""
    return examine(look_at_machine(environment), _look_at_cluster(choice, environment, redactor))


def _look_at_cluster(choice: ClusterChoice, environment: Mapping[str, str], redactor: Redactor) -> ClusterFacts:
    try:
        cluster = chosen_cluster(choice, environment, read_only=True)
        hosts, addresses = chosen_hosts(choice, environment), chosen_addresses(choice, environment)
        approvals = _why_not_approved(choice, environment)
    except PlaybookError as error:
        return ClusterFacts(None, error.diagnostics[0].render(), "runbook clusters check")
    except RunbookError as error:
        return ClusterFacts(None, error.sentence, error.next_action)
    redactor.learn_all(cluster.secrets)
    view = cluster.look()
    peers = view.best_configuration.peers if view.best_configuration else ()
    return ClusterFacts(
        view,
        addresses=addresses,
        permission=reason_not_permitted(cluster, PERMISSION_WITHIN) if view.leader_id else None,
        hosts=_ask_hosts(hosts),
        own=own_addresses(peer.address.rpartition(":")[0].strip("[]") for peer in peers),
        token_from=_store_of_credentials(choice, environment),
        approvals=approvals,
    )


def _why_not_approved(choice: ClusterChoice, environment: Mapping[str, str]) -> str | None:
    """Why the signatures that the inventory asks for could not be had here: empty where they could, None for no rule.

    Raises SettingsError.
    """
    rule = chosen_approval(settled(choice, environment))
    if rule is None:
        return None
    try:
        read_allowed_signers(rule.by)
    except SettingsError as error:
        return error.sentence
    if shutil.which("ssh-keygen", path=environment.get("PATH")) is None:
        return "there is no ssh-keygen here"
    folder = state_folder(environment)
    return "" if is_shared(folder) else f"{folder} is this user's alone, so nobody else can put a signature there"


def _store_of_credentials(choice: ClusterChoice, environment: Mapping[str, str]) -> str:
    """The address of the secret store that has the cluster's credentials; empty where none has them."""
    if choice.name is None:
        return ""
    from runbook.cluster.inventory.locate import find_cluster, find_inventory, read_inventory

    inventory = read_inventory(find_inventory(choice.inventory, environment))
    sources = {secret.source for secret in find_cluster(inventory, choice.name).credentials.values()}
    return environment.get("VAULT_ADDR", "") if "vault" in sources else ""


def _ask_hosts(hosts: Mapping[str, HostSpec]) -> dict[str, str]:
    """What keeps each from being looked at; empty where nothing does."""

    def ask(server: str) -> str:
        try:
            Host(hosts[server], now() + HOSTS_WITHIN).service()
        except StepError as error:
            return error.sentence
        return ""

    told = threads.gather(hosts, ask, lambda _: (), HOSTS_WITHIN)
    late = f"nothing was said within {HOSTS_WITHIN:g} s"
    return {server: late if words is None else words for server, words in told.items()}
