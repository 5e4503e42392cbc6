"""A cluster of an inventory, ready to be asked: its credentials fetched, its files looked at, nothing sent yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from runbook.cluster.access import check_readable, header_value, system_authorities
from runbook.cluster.etcd.adapter import EtcdCluster
from runbook.cluster.hashicorp.adapter import HashiCorpCluster
from runbook.cluster.hashicorp.dialects import CONSUL, NOMAD
from runbook.cluster.http import HttpSettings
from runbook.cluster.inventory.model import InventoryCluster
from runbook.cluster.port import Cluster
from runbook.cluster.vault.adapter import VaultCluster
from runbook.cluster.vault.products import OPENBAO, VAULT
from runbook.redaction import Redactor
from runbook.secrets import SecretStore

_DIALECTS = {
    "nomad": (NOMAD, "X-Nomad-Token", "NOMAD_TOKEN"),
    "consul": (CONSUL, "X-Consul-Token", "CONSUL_HTTP_TOKEN"),
}
_VAULTS = {"vault": VAULT, "openbao": OPENBAO}


def connect(
    cluster: InventoryCluster, environment: Mapping[str, str], *, read_only: bool, patient: bool = True
) -> Cluster:
    """Ready to be asked. ``patient``: a look may wait for a second sample of the leader's pulse.

    Raises SecretError or SettingsError, which name the cluster and its key, before anything is sent.
    """
    secrets = _fetch(cluster, environment)
    if cluster.kind == "etcd":
        return _etcd(cluster, secrets, read_only)
    if cluster.kind in _VAULTS:
        return _vault(cluster, secrets, read_only)
    return _hashicorp(cluster, secrets, read_only, patient)


def _hashicorp(cluster: InventoryCluster, secrets: Mapping[str, str], read_only: bool, patient: bool) -> Cluster:
    dialect, header, variable = _DIALECTS[cluster.kind]
    user, colon, password = secrets.get("login", "").partition(":")
    settings = replace(
        _settings(cluster, read_only),
        headers={header: secrets["token"]} if "token" in secrets else {},
        basic_auth=(user, password) if colon else None,
    )
    where = f"of {cluster.name} in {cluster.mark.path}"
    return HashiCorpCluster(
        replace(
            dialect,
            variable=f"the addresses {where}",
            permission=dialect.permission.replace(variable, f"the credentials {where}"),
            reading=dialect.reading.replace(variable, f"the credentials {where}"),
        ),
        tuple(each.url for each in cluster.addresses),
        settings,
        cluster.region or None,
        name=cluster.name,
        patient=patient,
        servers=_servers(cluster),
    )


def _etcd(cluster: InventoryCluster, secrets: Mapping[str, str], read_only: bool) -> Cluster:
    user, _, password = secrets.get("login", "").partition(":")
    return EtcdCluster(
        tuple(each.url for each in cluster.addresses),
        _settings(cluster, read_only),
        user or None,
        password,
        name=cluster.name,
        servers=_servers(cluster),
    )


def _vault(cluster: InventoryCluster, secrets: Mapping[str, str], read_only: bool) -> Cluster:
    settings = replace(
        _settings(cluster, read_only),
        headers={"X-Vault-Token": secrets["token"]} if "token" in secrets else {},
        plain={"X-Vault-Request": "true"},
    )
    where = f"of {cluster.name} in {cluster.mark.path}"
    product = replace(_VAULTS[cluster.kind], addresses=f"the addresses {where}", token=f"the credentials {where}")
    addresses = tuple(each.url for each in cluster.addresses)
    return VaultCluster(product, addresses, settings, name=cluster.name, servers=_servers(cluster))


def _settings(cluster: InventoryCluster, read_only: bool) -> HttpSettings:
    return HttpSettings(
        verify=_verify(cluster),
        certificate=_certificate(cluster),
        read_only=read_only,
        server_name=cluster.tls.server_name or None,
        server_names={each.url: each.tls_server_name for each in cluster.addresses if each.tls_server_name},
    )


def _servers(cluster: InventoryCluster) -> dict[str, str]:
    return {each.url: each.server for each in cluster.addresses if each.server}


def _fetch(cluster: InventoryCluster, environment: Mapping[str, str]) -> dict[str, str]:
    """By their keys. The run learns them as secrets of the cluster, and hides them."""
    store = SecretStore(environment, Redactor())
    fetched = {key: store.fetch(secret) for key, secret in cluster.credentials.items()}
    return {
        key: header_value(f"{key} of {cluster.name}", text) if key == "token" else text for key, text in fetched.items()
    }


def _verify(cluster: InventoryCluster) -> bool | str:
    ca = str(Path(cluster.tls.ca).expanduser())
    if cluster.tls.ca:
        check_readable(f"ca of {cluster.name}", ca, is_folder=Path(ca).is_dir())
    if cluster.tls.skip_verify:
        return False
    return ca if cluster.tls.ca else system_authorities()


def _certificate(cluster: InventoryCluster) -> tuple[str, str] | None:
    if not cluster.tls.cert:
        return None
    cert, key = (str(Path(path).expanduser()) for path in (cluster.tls.cert, cluster.tls.key))
    check_readable(f"cert of {cluster.name}", cert, is_folder=False)
    check_readable(f"key of {cluster.name}", key, is_folder=False)
    return cert, key
