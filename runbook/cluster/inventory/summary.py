"""An inventory for a person, or as data for a machine: credentials by reference, as they stand in the file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from runbook.cluster.inventory.model import Inventory, InventoryAddress, InventoryCluster, InventoryHost
from runbook.playbook.approval_rule import ApprovalRule
from runbook.playbook.model import Secret
from runbook.playbook.types import format_duration


def format_list(inventory: Inventory) -> list[str]:
    """A line for each cluster, in the order of the file: name, kind, labels, and where its API is."""
    rows = [("NAME", "KIND", "LABELS", "ADDRESSES")]
    rows += [(each.name, each.kind, _labels(each), _format_places(each)) for each in inventory.clusters]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return ["  ".join([*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[3]]) for row in rows]


def _labels(cluster: InventoryCluster) -> str:
    return ", ".join(f"{name}={value}" for name, value in cluster.labels.items())


def _format_places(cluster: InventoryCluster) -> str:
    first, *others = (address.url for address in cluster.addresses)
    return f"{first} and {len(others)} more" if len(others) > 1 else ", ".join([first, *others])


def format_cluster(cluster: InventoryCluster) -> list[str]:
    """All that the file says of one cluster."""
    tls = cluster.tls
    files = [f"{key} {value}" for key, value in (("ca", tls.ca), ("cert", tls.cert), ("key", tls.key)) if value]
    files += [f"server name {tls.server_name}"] if tls.server_name else []
    files += ["any certificate is taken"] if tls.skip_verify else []
    rows = [
        ("kind", [f"{cluster.kind}{f', region {cluster.region}' if cluster.region else ''}"]),
        ("labels", [_labels(cluster)] if cluster.labels else []),
        ("addresses", _columns([(address.server, _address(address)) for address in cluster.addresses])),
        ("tls", [", ".join(files)] if files else []),
        ("credentials", [f"{name} from {reference(secret)}" for name, secret in cluster.credentials.items()]),
        ("hosts", _columns([(host.server, _host(host)) for host in cluster.hosts])),
        ("approve", [_approval(cluster.approval)] if cluster.approval else []),
    ]
    shown = [(title if place == 0 else "", line) for title, lines in rows for place, line in enumerate(lines)]
    head = f"{cluster.name}, from line {cluster.mark.line} of {cluster.mark.path}"
    return [head, *(f"  {title:<12}{line}" for title, line in shown)]


def _columns(rows: list[tuple[str, str]]) -> list[str]:
    width = max((len(name) for name, _ in rows), default=0)
    return [f"{name:<{width}}  {text}".strip() for name, text in rows]


def _address(address: InventoryAddress) -> str:
    return f"{address.url}, TLS name {address.tls_server_name}" if address.tls_server_name else address.url


def _host(host: InventoryHost) -> str:
    service = host.service
    parts = [
        f"ssh {host.ssh}{f' port {host.port}' if host.port else ''}" if host.ssh else "this machine",
        "by sudo" if host.sudo else "",
        f"data in {host.data_folder}" if host.data_folder else "",
        f"unit {service.unit}" if service.unit else "",
        f"stopped by {' '.join(service.stop)}" if service.stop else "",
    ]
    return ", ".join(part for part in parts if part)


def _approval(rule: ApprovalRule) -> str:
    people = "1 person" if rule.count == 1 else f"{rule.count} people"
    others = ", others than whoever runs it" if rule.not_self else ""
    return f"{people} of {rule.by}{others}, within {format_duration(rule.within)}"


def reference(secret: Secret) -> str:
    """Where it is fetched from. Of a command only the program: a word of it may be meant for nobody's eyes."""
    if secret.source == "exec":
        return f"exec:{secret.target[0]}{' …' if secret.target[1:] else ''}"
    return f"{secret.source}:{'#'.join(secret.target)}"


def cluster_record(cluster: InventoryCluster) -> dict[str, Any]:
    """One cluster as plain data; these keys are a promise to whoever reads them."""
    return {
        "name": cluster.name,
        "kind": cluster.kind,
        "labels": dict(cluster.labels),
        "region": cluster.region,
        "addresses": [
            {"url": each.url, "server": each.server, "tls_server_name": each.tls_server_name}
            for each in cluster.addresses
        ],
        "tls": {
            "ca": cluster.tls.ca,
            "cert": cluster.tls.cert,
            "key": cluster.tls.key,
            "server_name": cluster.tls.server_name,
            "skip_verify": cluster.tls.skip_verify,
        },
        "credentials": {name: reference(secret) for name, secret in cluster.credentials.items()},
        "hosts": [
            {
                "server": host.server,
                "ssh": host.ssh,
                "port": host.port,
                "sudo": host.sudo,
                "data_folder": host.data_folder,
                "unit": host.service.unit,
                "stop": list(host.service.stop),
                "start": list(host.service.start),
            }
            for host in cluster.hosts
        ],
        "approve": asdict(cluster.approval) if cluster.approval else None,
    }


def left_to_fill(cluster: InventoryCluster) -> Iterator[str]:
    """What a person should still find out by day, as nobody has the time for it at night."""
    if len(cluster.addresses) < 2:
        yield "it has one address: name each server's own, so that the one that is noted down may be the one that died"
    elif not all(address.server for address in cluster.addresses):
        yield "its addresses name no servers: write them as SERVER: ADDRESS, so that a silent one is known by its name"
    hosts = {host.server for host in cluster.hosts}
    missing = [address.server for address in cluster.addresses if address.server and address.server not in hosts]
    if not cluster.hosts:
        yield "it has no hosts: a lost quorum can only be recovered by hand"
    elif missing:
        yield f"it has no host for {', '.join(missing)}"
    for what, without in (
        ("data folder", [host.server for host in cluster.hosts if not host.data_folder]),
        ("service", [host.server for host in cluster.hosts if not (host.service.unit or host.service.stop)]),
    ):
        if without:
            yield f"it has no {what} for {', '.join(without)}"
