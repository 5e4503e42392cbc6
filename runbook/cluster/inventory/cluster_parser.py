"""Reads one cluster of an inventory: what it is, where its API and its machines are, and whose name it is asked in."""

from __future__ import annotations

import shlex

from runbook.cluster.access import socket_path, split_address
from runbook.cluster.inventory import keys
from runbook.cluster.inventory.model import (
    InventoryAddress,
    InventoryCluster,
    InventoryHost,
    ServiceControl,
    TLSFiles,
)
from runbook.errors import Mark
from runbook.playbook.approval_parser import read_approval_rule
from runbook.playbook.declarations import read_secret
from runbook.playbook.diagnostics import Diagnostics, quoted
from runbook.playbook.mapping import Keys, MappingReader, read_literal
from runbook.playbook.model import Field, Secret
from runbook.playbook.yaml_tree import ListNode, MapNode, Node, Scalar, describe_node

_TEXT = Field("", "string", "")
_SECRET_WORDS = ("token", "pass", "secret", "login", "auth", "cred")


class ClusterParser:
    """Reports every fault of a cluster to ``diagnostics``."""

    def __init__(self, diagnostics: Diagnostics) -> None:
        self._diagnostics = diagnostics

    def read(self, name: str, mark: Mark, node: Node) -> InventoryCluster | None:
        """The cluster at ``node``; None where too much is wrong to compare it with others."""
        what = f"cluster {quoted(name)}"
        mapping = self._mapping(node, what, keys.CLUSTER_KEYS)
        if mapping is None:
            return None
        kind = mapping.value("kind")
        if "region" in keys.NOT_OF.get(kind, ()) and mapping.get("region") is not None:
            mapping.report("region", f"does not apply to {kind}")
        addresses = self._addresses(mapping, what)
        for address in addresses:
            if kind not in ("nomad", "consul") and socket_path(address.url):
                self._diagnostics.add(address.mark, f"unix:// does not apply to {kind}, in the addresses of {what}")
        tls = self._tls(mapping, what)
        service = self._service(mapping, what)
        data_folder = self._path(mapping, "data_folder")
        cluster = InventoryCluster(
            name=name,
            kind=kind or "",
            mark=mark,
            addresses=addresses,
            labels=self._labels(mapping, what),
            region=mapping.value("region") or "",
            tls=tls,
            credentials=self._credentials(mapping, name, kind, what),
            hosts=self._hosts(mapping, what, data_folder, service),
            data_folder=data_folder,
            service=service,
            approval=read_approval_rule(mapping.get("approve"), f'"approve" of {what}', self._diagnostics),
        )
        return cluster if kind else None

    def _mapping(self, node: Node, what: str, known: Keys) -> MappingReader | None:
        """A reader of the mapping at ``node``. The line of an unknown key that may hold a secret is shown nowhere."""
        if not isinstance(node, MapNode):
            self._diagnostics.add(node.mark, f"{what} must be a mapping, not {describe_node(node)}")
            return None
        mapping = MappingReader(node, what, known, self._diagnostics)
        for name, (_, value) in node.entries.items():
            if name not in known.fields and any(word in name.lower() for word in _SECRET_WORDS):
                self._diagnostics.hide_line(value.mark)
        return mapping

    def _part(self, mapping: MappingReader, name: str, what: str, known: Keys) -> MappingReader | None:
        node = mapping.get(name)
        return None if node is None else self._mapping(node, f"{quoted(name)} of {what}", known)

    # -- addresses

    def _addresses(self, mapping: MappingReader, what: str) -> tuple[InventoryAddress, ...]:
        node = mapping.get("addresses")
        if node is None:
            return ()
        if isinstance(node, ListNode):
            given = [("", each) for each in node.items]
        elif isinstance(node, MapNode):
            given = [(server, value) for server, (_, value) in node.entries.items()]
            self._check_servers(node)
        else:
            known = "must be a list of addresses, or a mapping with the address of each server"
            mapping.report("addresses", f"{known}, not {describe_node(node)}")
            return ()
        if not 0 < len(given) <= keys.MAX_SERVERS:
            mapping.report("addresses", f"must hold 1 to {keys.MAX_SERVERS} addresses, not {len(given):,}")
            return ()
        label = f"of {what}"
        found = [
            self._address(value, f"of server {quoted(server)} {label}" if server else label, server)
            for server, value in given
        ]
        return tuple(each for each in found if each is not None)

    def _address(self, node: Node, label: str, server: str) -> InventoryAddress | None:
        url: Node | None = node
        tls_server_name = ""
        if isinstance(node, MapNode):
            mapping = MappingReader(node, f"the address {label}", keys.ADDRESS_KEYS, self._diagnostics)
            url, tls_server_name = mapping.get("url"), mapping.value("tls_server_name") or ""
        text = read_literal(url, _TEXT, f"the address {label}", self._diagnostics) if url is not None else None
        if url is None or text is None or not self._is_address(text, url.mark, label):
            return None
        return InventoryAddress(text.rstrip("/"), url.mark, server, tls_server_name)

    def _is_address(self, text: str, mark: Mark, label: str) -> bool:
        """What is wrong with an address is told without it where it may hold a password."""
        if "@" in text:
            self._diagnostics.hide_line(mark)
            message = f"the address {label} must hold no user or password"
            self._diagnostics.add(mark, message, 'Give them as "login" of the credentials, by reference.')
            return False
        if split_address(text) is not None or socket_path(text) is not None:
            return True
        guess = f"http://{text}"
        suggestion = f"Did you mean {quoted(guess)}?" if "://" not in text and split_address(guess) else None
        message = f"the address {label} must begin with http:// or https:// and name a host, not {quoted(text)}"
        example = "unix:///run/http.sock" if text.startswith("unix:") else "https://10.0.0.11:4646"
        self._diagnostics.add(mark, message, suggestion or f"Write an address such as {example}.")
        return False

    def _check_servers(self, node: MapNode) -> None:
        for server, (key, _) in node.entries.items():
            if not keys.SERVER.fullmatch(server):
                message = f"{quoted(server)} is no server: give the name or the id that the cluster has for it"
                self._diagnostics.add(key.mark, message)

    # -- how it is asked

    def _labels(self, mapping: MappingReader, what: str) -> dict[str, str]:
        node = mapping.get("labels")
        if node is None:
            return {}
        if not isinstance(node, MapNode):
            mapping.report("labels", f"must be a mapping, not {describe_node(node)}", "Write labels: { env: prod }.")
            return {}
        labels: dict[str, str] = {}
        for name, (key, value) in node.entries.items():
            if not keys.LABEL.fullmatch(name):
                message = f"{quoted(name)} cannot be a label: it needs letters, digits and . _ / -, 63 at most"
                self._diagnostics.add(key.mark, message)
            text = read_literal(value, _TEXT, f"label {quoted(name)} of {what}", self._diagnostics)
            labels[name] = text or ""
        return labels

    def _tls(self, mapping: MappingReader, what: str) -> TLSFiles:
        tls = self._part(mapping, "tls", what, keys.TLS_KEYS)
        if tls is None:
            return TLSFiles()
        ca, cert, key = (self._path(tls, name) for name in ("ca", "cert", "key"))
        for one, other in (("cert", "key"), ("key", "cert")):
            if tls.get(one) is not None and tls.get(other) is None:
                tls.report(one, f"needs {quoted(other)}: give both or neither")
        return TLSFiles(ca, cert, key, tls.value("server_name") or "", tls.value("skip_verify") is True)

    def _path(self, mapping: MappingReader, name: str) -> str:
        """Absolute, as nobody knows in which folder somebody stands at 3 a.m."""
        path = mapping.value(name) or ""
        if path and not path.startswith(("/", "~/")):
            mapping.report(name, f"must be an absolute path, or begin with ~/, not {quoted(path)}")
        return path

    def _credentials(self, mapping: MappingReader, name: str, kind: str | None, what: str) -> dict[str, Secret]:
        node = mapping.get("credentials")
        if node is None:
            return {}
        label = f'"credentials" of {what}'
        if not isinstance(node, MapNode):
            self._diagnostics.hide_line(node.mark)
            message = f"{label} must be a mapping of references, and never a secret itself"
            self._diagnostics.add(node.mark, message, "Write credentials: { token: env:NAME }.")
            return {}
        given = MappingReader(node, label, keys.CREDENTIAL_KEYS, self._diagnostics)
        for value in given.unknown_values():
            self._diagnostics.hide_line(value.mark)
        found: dict[str, Secret] = {}
        for field in keys.CREDENTIAL_KEYS:
            reference = given.get(field.name)
            if reference is not None and field.name in keys.NOT_OF.get(kind or "", ()):
                self._diagnostics.hide_line(reference.mark)
                instead = 'It has users: give "login".' if field.name == "token" else 'It has tokens: give "token".'
                given.report(field.name, f"does not apply to {kind}", instead)
            elif reference is not None:
                label = f"{quoted(field.name)} of {what}"
                secret = read_secret(f"{field.name} of {name}", label, reference, self._diagnostics)
                found |= {field.name: secret} if secret else {}
        return found

    # -- the machines

    def _hosts(
        self, mapping: MappingReader, what: str, data_folder: str, service: ServiceControl
    ) -> tuple[InventoryHost, ...]:
        node = mapping.get("hosts")
        if node is None:
            return ()
        if not isinstance(node, MapNode):
            mapping.report("hosts", f"must be a mapping of servers, not {describe_node(node)}")
            return ()
        if len(node.entries) > keys.MAX_SERVERS:
            mapping.report("hosts", f"must hold {keys.MAX_SERVERS} hosts at most, not {len(node.entries):,}")
            return ()
        self._check_servers(node)
        found = [self._host(server, value, what, data_folder, service) for server, (_, value) in node.entries.items()]
        return tuple(host for host in found if host is not None)

    def _host(
        self, server: str, node: Node, what: str, data_folder: str, service: ServiceControl
    ) -> InventoryHost | None:
        label = f"host {quoted(server)} of {what}"
        if isinstance(node, Scalar) and node.value == "local":
            return InventoryHost(server, data_folder=data_folder, service=service)
        mapping = self._mapping(node, label, keys.HOST_KEYS)
        if mapping is None:
            return None
        ssh, local = mapping.value("ssh") or "", mapping.value("local") is True
        if local == (mapping.get("ssh") is not None):
            message = f"{label} needs either ssh or local: true"
            self._diagnostics.add(node.mark, message, "Write ssh: USER@HOST, or local: true.")
        elif ssh and not keys.SSH.fullmatch(ssh):
            mapping.report("ssh", f"must be [USER@]HOST, not {quoted(ssh)}")
        if local and mapping.get("port") is not None:
            mapping.report("port", "does not apply to this machine itself")
        return InventoryHost(
            server,
            ssh,
            mapping.value("port"),
            mapping.value("sudo") is True,
            self._path(mapping, "data_folder") or data_folder,
            self._service(mapping, label) if mapping.get("service") is not None else service,
        )

    def _service(self, mapping: MappingReader, what: str) -> ServiceControl:
        service = self._part(mapping, "service", what, keys.SERVICE_KEYS)
        if service is None:
            return ServiceControl()
        unit = service.value("unit") or ""
        commands = [name for name in ("stop", "start") if service.get(name) is not None]
        if len(commands) + 2 * (service.get("unit") is not None) != 2:
            message = f'"service" of {what} needs a unit, or both stop and start, and not all of them'
            self._diagnostics.add(service.node.mark, message)
        if unit and not keys.UNIT.fullmatch(unit):
            service.report("unit", f"must be the name of a systemd unit, not {quoted(unit)}")
        return ServiceControl(unit, self._command(service, "stop"), self._command(service, "start"))

    def _command(self, service: MappingReader, name: str) -> tuple[str, ...]:
        text = service.value(name)
        if text is None:
            return ()
        try:
            words = tuple(shlex.split(text))
        except ValueError:
            words = ()
        if not words:
            service.report(name, f"must be a command with its words, not {quoted(text)}")
        return words
