"""The text of a new inventory, filled with what a living cluster says of itself and marked with what it cannot say."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from runbook.cluster.access import socket_path
from runbook.cluster.inventory.keys import PORTS, SERVER
from runbook.raft.model import ClusterView, Peer, Reach

_PLAIN = re.compile(r"(?!(?:y|n|yes|no|on|off|true|false|null)$)[A-Za-z/][A-Za-z0-9./:@_-]*", re.IGNORECASE)
_DATA = {
    "nomad": "/opt/nomad/data",
    "consul": "/opt/consul",
    "etcd": "/var/lib/etcd/default",
    "vault": "/opt/vault/data",
    "openbao": "/opt/openbao/data",
}
_FILES = ("ca", "cert", "key")
_PREFIXES = {"nomad": ("NOMAD",), "consul": ("CONSUL",), "vault": ("VAULT",), "openbao": ("BAO", "VAULT")}
_VAULT_NAMES = (("ca", "CAPATH"), ("ca", "CACERT"), ("cert", "CLIENT_CERT"), ("key", "CLIENT_KEY"), ("token", "TOKEN"))
_VARIABLES: dict[str, tuple[tuple[str, str], ...]] = {
    "nomad": (
        ("ca", "NOMAD_CAPATH"),
        ("ca", "NOMAD_CACERT"),
        ("cert", "NOMAD_CLIENT_CERT"),
        ("key", "NOMAD_CLIENT_KEY"),
        ("token", "NOMAD_TOKEN"),
        ("login", "NOMAD_HTTP_AUTH"),
    ),
    "consul": (
        ("ca", "CONSUL_CAPATH"),
        ("ca", "CONSUL_CACERT"),
        ("cert", "CONSUL_CLIENT_CERT"),
        ("key", "CONSUL_CLIENT_KEY"),
        ("token", "CONSUL_HTTP_TOKEN"),
        ("token", "CONSUL_HTTP_TOKEN_FILE"),
        ("login", "CONSUL_HTTP_AUTH"),
    ),
    "etcd": (
        ("ca", "ETCDCTL_CACERT"),
        ("cert", "ETCDCTL_CERT"),
        ("key", "ETCDCTL_KEY"),
        ("login", "ETCDCTL_USER"),
    ),
    "vault": tuple((key, f"VAULT_{name}") for key, name in _VAULT_NAMES),
    "openbao": tuple((key, f"{prefix}_{name}") for key, name in _VAULT_NAMES for prefix in ("VAULT", "BAO")),
}
_HEAD = """\
# The clusters that runbook --cluster NAME knows. Secrets do not belong here: only where they are fetched from.
# Lines that begin with # are for a person to fill in by day; then: runbook clusters check
inventory: 1
clusters:
"""
_MACHINES = """\
    # How each machine is reached, so that a lost quorum can be recovered from here: by ssh, or local: true. sudo must
    # ask for no password there.
    # hosts:
{hosts}
    # The data_dir of the servers' configuration, and their systemd unit.
    # data_folder: {data}
    # service: {{ unit: {kind}.service }}
"""


def draft_inventory(view: ClusterView, kind: str, name: str, environment: Mapping[str, str]) -> str:
    """An inventory with this one cluster, as the look and the environment's own variables tell it.

    ``view`` has a configuration that somebody holds. No secret of the environment is written, only its variable's name.
    """
    listed = view.best_configuration.peers if view.best_configuration else ()
    peers = tuple(sorted(listed, key=lambda peer: peer.label))
    names = _names(peers)
    lines = [
        f"  {_scalar(name)}:",
        f"    kind: {kind}",
        "    # labels: { env: prod }   # your own words, by which clusters are chosen",
        *_region(kind, environment),
        "    addresses:",
        *_addresses(view, kind, peers),
        *_tls(kind, environment),
        *_credentials(kind, environment),
    ]
    hosts = [f"    #   {names[p.id]}: {{ ssh: USER@{p.address.rpartition(':')[0]}, sudo: true }}" for p in peers]
    machines = _MACHINES.format(hosts="\n".join(hosts), data=_DATA[kind], kind=kind)
    return _HEAD + "\n".join(lines) + "\n" + machines


def _names(peers: tuple[Peer, ...]) -> dict[str, str]:
    """By the peer's id the name that gossip has for it; the id where two have one name, or it has an odd one."""
    labels = [peer.label for peer in peers]
    plain = [label for label in labels if labels.count(label) == 1 and SERVER.fullmatch(label)]
    return {peer.id: _scalar(peer.label if peer.label in plain else peer.id) for peer in peers}


def _addresses(view: ClusterView, kind: str, peers: tuple[Peer, ...]) -> list[str]:
    """Each server's own where it answered itself, a comment where not; a balancer's where nothing else is known."""
    names = _names(peers)
    own = {peer.id: found.url for peer in peers if (found := view.vantage_of(peer)) and found.other_id is None}
    shared = [vantage.url for vantage in view.vantages if vantage.reach is Reach.ANSWERED]
    like = urlsplit(next((url for url in [*own.values(), *shared] if not socket_path(url)), "http://"))
    lines = [] if own else [f"      - {_scalar(url)}" for url in shared]
    for peer in peers:
        if peer.id in own:
            lines.append(f"      {names[peer.id]}: {_scalar(own[peer.id])}")
        else:
            guess = f"{like.scheme}://{peer.address.rpartition(':')[0]}:{like.port or PORTS[kind]}"
            lines.append(f"      # {names[peer.id]}: {guess}   # it did not answer: where is its HTTP API?")
    return lines


def _region(kind: str, environment: Mapping[str, str]) -> list[str]:
    region = environment.get("NOMAD_REGION", "") if kind == "nomad" else ""
    return [f"    region: {_scalar(region)}"] if region else []


def _tls(kind: str, environment: Mapping[str, str]) -> list[str]:
    given = {key: environment[name] for key, name in _VARIABLES[kind] if key in _FILES and environment.get(name)}
    lines = [f"      {key}: {_scalar(str(Path(path).absolute()))}" for key, path in given.items()]
    names = (environment.get(f"{prefix}_TLS_SERVER_NAME") for prefix in _PREFIXES.get(kind, ()))
    name = next((each for each in names if each), None)
    lines += [f"      server_name: {_scalar(name)}"] if name else []
    return ["    tls:", *lines] if lines else []


def _credentials(kind: str, environment: Mapping[str, str]) -> list[str]:
    """What is read last of a key is what the product's own command line takes before the others."""
    found = {
        key: f"file:{Path(environment[name]).absolute()}" if name.endswith("_FILE") else f"env:{name}"
        for key, name in _VARIABLES[kind]
        if key not in _FILES and environment.get(name)
    }
    how = "# by reference: env:NAME, file:/PATH or exec:COMMAND"
    if found:
        return [f"    credentials:   {how}", *(f"      {key}: {_scalar(each)}" for key, each in found.items())]
    key, name = next((key, name) for key, name in _VARIABLES[kind] if key not in _FILES)
    return [f'    # credentials: {{ {key}: "env:{name}" }}   {how}']


def _scalar(text: str) -> str:
    """As YAML has it: plain where nobody can take it for anything else."""
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
