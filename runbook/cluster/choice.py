"""Which cluster is meant: one of the inventory by its name, else the one that the environment names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from runbook.cluster.environment import ADDRESSES, cluster_from, kind_named_by
from runbook.cluster.port import Cluster
from runbook.dataclass import dataclass
from runbook.hosts.spec import HostSpec
from runbook.playbook.approval_rule import ApprovalRule


@dataclass(frozen=True)
class ClusterChoice:
    """What was typed of it: a name of the inventory, the inventory's file where it is none of the usual ones, and which
    product is meant where the environment names several.
    """

    name: str | None = None
    inventory: str | None = None
    kind: str | None = None


BY_ENVIRONMENT = ClusterChoice()


def settled(choice: ClusterChoice, environment: Mapping[str, str]) -> ClusterChoice:
    """The choice with the whole path of the inventory that has the name, so that a resumed run reads the same one.

    Raises SettingsError where there is no inventory.
    """
    if choice.name is None:
        return choice
    from runbook.cluster.inventory.locate import find_inventory

    return replace(choice, inventory=str(find_inventory(choice.inventory, environment)))


def kind_meant(choice: ClusterChoice, environment: Mapping[str, str]) -> str:
    """The product alone: no credential is fetched. Raises SettingsError or PlaybookError."""
    if choice.name is None:
        return choice.kind or kind_named_by(environment)
    from runbook.cluster.inventory.locate import find_cluster, find_inventory, read_inventory

    return find_cluster(read_inventory(find_inventory(choice.inventory, environment)), choice.name).kind


def chosen_cluster(
    choice: ClusterChoice, environment: Mapping[str, str], *, read_only: bool, patient: bool = True
) -> Cluster:
    """Ready to be asked; nothing was sent yet. ``patient``: a look may wait for a second sample of the leader's pulse,
    and asks the machines of servers, where the inventory has them and only they can tell.

    Raises SettingsError, SecretError or PlaybookError.
    """
    if choice.name is None:
        return cluster_from(environment, read_only=read_only, kind=choice.kind, patient=patient)
    from runbook.cluster.inventory.connect import connect
    from runbook.cluster.inventory.locate import find_cluster, find_inventory, read_inventory

    inventory = read_inventory(find_inventory(choice.inventory, environment))
    cluster = connect(find_cluster(inventory, choice.name), environment, read_only=read_only, patient=patient)
    hosts = chosen_hosts(choice, environment) if patient else {}
    if not hosts:
        return cluster
    from runbook.cluster.with_hosts import ClusterWithHosts

    return ClusterWithHosts(cluster, hosts)


def chosen_addresses(choice: ClusterChoice, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Those of its servers' APIs, as they are given; none where only the product's own default is meant.

    Raises SettingsError or PlaybookError.
    """
    if choice.name is None:
        given = environment.get(ADDRESSES[choice.kind or kind_named_by(environment)].name) or ""
        words = [word.strip() for word in given.split(",") if word.strip()]
        return tuple(word if "://" in word else f"http://{word}" for word in words)
    from runbook.cluster.inventory.locate import find_cluster, find_inventory, read_inventory

    inventory = read_inventory(find_inventory(choice.inventory, environment))
    return tuple(each.url for each in find_cluster(inventory, choice.name).addresses)


def chosen_hosts(choice: ClusterChoice, environment: Mapping[str, str]) -> dict[str, HostSpec]:
    """The machines of its servers, by a name or id of each, as the inventory has them; else none is known.

    Raises SettingsError or PlaybookError.
    """
    if choice.name is None:
        return {}
    from runbook.cluster.inventory.locate import find_cluster, find_inventory, read_inventory

    inventory = read_inventory(find_inventory(choice.inventory, environment))
    return {
        host.server: HostSpec(
            host.server,
            host.ssh,
            host.port,
            host.sudo,
            host.data_folder.rstrip("/"),
            host.service.unit,
            host.service.stop,
            host.service.start,
        )
        for host in find_cluster(inventory, choice.name).hosts
    }


def chosen_approval(choice: ClusterChoice) -> ApprovalRule | None:
    """Whose signatures a run on it needs, as the inventory says; a cluster of the environment has no such rule.

    ``choice`` is a settled one. Raises SettingsError or PlaybookError.
    """
    if choice.name is None or choice.inventory is None:
        return None
    from runbook.cluster.inventory.locate import find_cluster, read_inventory

    return find_cluster(read_inventory(Path(choice.inventory)), choice.name).approval
