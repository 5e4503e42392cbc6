"""The bytes of an inventory to a checked :class:`Inventory`, or every fault at once. Nothing is read here."""

from __future__ import annotations

import re

from runbook.cluster.access import place_of
from runbook.cluster.inventory.cluster_parser import ClusterParser
from runbook.cluster.inventory.keys import INVENTORY_KEYS, INVENTORY_VERSION, NAME, PORTS
from runbook.cluster.inventory.model import Inventory, InventoryCluster
from runbook.errors import Mark
from runbook.playbook.diagnostics import Diagnostics, quoted
from runbook.playbook.mapping import MappingReader
from runbook.playbook.reader import read_yaml
from runbook.playbook.yaml_tree import MapNode, Scalar, describe_node

BEGINS = f'It begins with "inventory: {INVENTORY_VERSION}".'


def parse_inventory(data: bytes, path: str) -> Inventory:
    """The inventory in ``data``, by the same strict rules as a playbook.

    Args:
        data: what the file holds.
        path: its name in errors; nothing is opened.

    Raises:
        PlaybookError: it cannot be used; holds every fault.
    """
    root, diagnostics = read_yaml(data, path, "an inventory")
    if not isinstance(root, MapNode):
        diagnostics.fail(root.mark, f"an inventory is a mapping, not {describe_node(root)}", BEGINS)
    mapping = MappingReader(root, "the inventory", INVENTORY_KEYS, diagnostics)
    version = mapping.value("inventory")
    if version is not None and version != INVENTORY_VERSION:
        mapping.report("inventory", f"is {version}, but this version of runbook reads {INVENTORY_VERSION}")
    clusters = _read_clusters(mapping, diagnostics)
    _report_shared_addresses(clusters, diagnostics)
    diagnostics.raise_if_any()
    return Inventory(path, tuple(clusters))


def _read_clusters(mapping: MappingReader, diagnostics: Diagnostics) -> list[InventoryCluster]:
    node = mapping.get("clusters")
    if node is None:
        return []
    if not isinstance(node, MapNode):
        example = "Write clusters: { NAME: { kind: nomad, addresses: [http://HOST:4646] } }."
        mapping.report("clusters", f"must be a mapping of names, not {describe_node(node)}", example)
        return []
    if not node.entries:
        diagnostics.raise_if_any()  # a name that cannot be read is left out of them, and told
        mapping.report("clusters", "must name at least one cluster")
    parser = ClusterParser(diagnostics)
    found = []
    for name, (key, value) in node.entries.items():
        _check_name(key, diagnostics)
        cluster = parser.read(name, key.mark, value)
        if cluster is not None:
            found.append(cluster)
    return found


def _check_name(key: Scalar, diagnostics: Diagnostics) -> None:
    if NAME.fullmatch(key.text):
        return
    better = re.sub(r"[^A-Za-z0-9._]+", "-", key.text).strip("-._")[:64]
    rule = f"{quoted(key.text)} cannot name a cluster: letters, digits and . _ -, 64 at most, a letter or digit first"
    diagnostics.add(key.mark, rule, f"Did you mean {quoted(better)}?" if NAME.fullmatch(better) else None)


def _report_shared_addresses(clusters: list[InventoryCluster], diagnostics: Diagnostics) -> None:
    """One address is one cluster's, or a run meant for one would change another.

    Two regions may have one door: any Nomad or Consul server passes a request on to the region that it names.
    """
    seen: dict[str, list[tuple[InventoryCluster, Mark]]] = {}
    for cluster in clusters:
        for address in cluster.addresses:
            others = seen.setdefault(place_of(address.url, PORTS[cluster.kind]), [])
            for other, mark in others:
                if other is cluster:
                    message = f"this address of cluster {quoted(cluster.name)} stands in line {mark.line} already"
                    diagnostics.add(address.mark, message, "Take one out.")
                elif not (cluster.region and other.region and cluster.region != other.region):
                    message = f"this address is that of cluster {quoted(other.name)} too, in line {mark.line}"
                    diagnostics.add(address.mark, message, "One address belongs to one cluster: take one out.")
            others.append((cluster, address.mark))
