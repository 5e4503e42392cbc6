"""The keys of an inventory: what validation takes, the JSON Schema says, and ``runbook clusters init`` writes."""

from __future__ import annotations

import re

from runbook.playbook.mapping import Keys
from runbook.playbook.model import Field

INVENTORY_VERSION = 1
KINDS = ("nomad", "consul", "etcd", "vault", "openbao")
PORTS = {"nomad": 4646, "consul": 8500, "etcd": 2379, "vault": 8200, "openbao": 8200}
NOT_OF = {  # keys that a product has no use for
    "etcd": ("region", "token"),
    "vault": ("region", "login"),
    "openbao": ("region", "login"),
}
MAX_SERVERS = 100
"""Addresses or hosts of one cluster: far more than any Raft cluster has servers."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
SERVER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,252}")
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,62}")
_WORD = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
SSH = re.compile(rf"(?:{_WORD}@)?(?:{_WORD}|[0-9A-Fa-f:.]+(?:%{_WORD})?)")
UNIT = re.compile(r"[A-Za-z0-9:_.\\@-]{1,255}")

INVENTORY_KEYS = Keys(
    Field("inventory", "int", f"the version of this format, {INVENTORY_VERSION}", required=True),
    Field("clusters", "map", "every cluster, by the name that --cluster takes", required=True),
)
CLUSTER_KEYS = Keys(
    Field("kind", "enum", f"the product: {', '.join(KINDS)}", required=True, choices=KINDS),
    Field("addresses", "any", "its HTTP API: a list, or each server's own by the server's name or id", required=True),
    Field("labels", "map", "words to choose it by, such as env: prod"),
    Field("region", "string", "Nomad's region or Consul's datacenter, where it is not that of the server asked"),
    Field("tls", "map", "the files for TLS"),
    Field("credentials", "map", "where its credentials are fetched from, never the credentials themselves"),
    Field("hosts", "map", "the machine of each server, by the server's name or id"),
    Field("data_folder", "path", "the folder of its data on each host"),
    Field("service", "map", "how its process is stopped and started on each host"),
    Field("approve", "map", "whose signatures a recovery of its lost quorum needs"),
    other_tools={
        **dict.fromkeys(("address", "addr", "url", "servers", "endpoints"), "addresses"),
        **dict.fromkeys(("type", "product"), "kind"),
        **dict.fromkeys(("tags",), "labels"),
        **dict.fromkeys(("datacenter", "dc"), "region"),
        **dict.fromkeys(("token", "auth", "password", "user"), "credentials"),
        **dict.fromkeys(("data_dir", "data-dir"), "data_folder"),
    },
)
ADDRESS_KEYS = Keys(
    Field("url", "string", "such as https://10.0.0.11:4646; a path prefix may follow", required=True),
    Field("tls_server_name", "string", "the name in its certificate, where it is not that of the address"),
)
TLS_KEYS = Keys(
    Field("ca", "path", "the certificates to trust: a file or a folder; else those of this machine"),
    Field("cert", "path", "the client certificate"),
    Field("key", "path", "its key"),
    Field("server_name", "string", "the name in every server's certificate, where it is not that of the address"),
    Field("skip_verify", "bool", "whether any certificate is taken, which lets anybody answer for the cluster"),
    other_tools={
        **dict.fromkeys(("cacert", "ca_cert", "ca_file", "ca_path", "capath"), "ca"),
        **dict.fromkeys(("client_cert", "cert_file"), "cert"),
        **dict.fromkeys(("client_key", "key_file"), "key"),
        **dict.fromkeys(("insecure", "insecure_skip_verify"), "skip_verify"),
    },
)
CREDENTIAL_KEYS = Keys(
    Field("token", "string", "the ACL token of Nomad or Consul, or the token of Vault or OpenBao"),
    Field("login", "string", "USER:PASSWORD, of etcd's user, or for a proxy in front of the others"),
    other_tools=dict.fromkeys(("user", "password", "http_auth", "basic_auth"), "login"),
)
HOST_KEYS = Keys(
    Field("local", "bool", "whether it is the machine on which runbook runs"),
    Field("ssh", "string", "how ssh reaches it, such as ops@10.0.0.11, or a name of ~/.ssh/config"),
    Field("port", "int", "ssh's port, where it is not the usual one", min=1, max=65535),
    Field("sudo", "bool", "whether commands there are run by sudo, which must not ask for a password", default=False),
    Field("data_folder", "path", "the folder of the data there, where it is not the cluster's"),
    Field("service", "map", "how the process is stopped and started there, where it is not as for the cluster"),
)
SERVICE_KEYS = Keys(
    Field("unit", "string", "the systemd unit, such as nomad.service"),
    Field("stop", "string", "the command that stops it, where there is no unit; no shell reads it"),
    Field("start", "string", "the command that starts it again"),
)
