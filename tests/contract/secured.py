"""Real servers that speak TLS to clients with a certificate alone, as production has them, for every product alike."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from runbook.lab.agent_layout import AgentKind, AgentLayout
from runbook.lab.agents import AgentLab
from tests.contract.certificates import make_certificates
from tests.contract.test_recovery import PLAYBOOK, QUICK, ROOT, Outcome

MANAGEMENT = "11111111-1111-1111-1111-111111111111"
UNKNOWN = "99999999-9999-9999-9999-999999999999"
PLAIN = 5  # from the port of the API: where Consul's plain one is
READY = 60.0  # seconds in which a cluster that was just formed begins its access control


@dataclass(frozen=True)
class Variables:
    """What the product's own command line reads."""

    address: str
    ca: str
    certificate: str
    key: str
    credential: str
    header: str


VARIABLES: dict[AgentKind, Variables] = {
    "consul": Variables(
        *("CONSUL_HTTP_ADDR", "CONSUL_CACERT", "CONSUL_CLIENT_CERT", "CONSUL_CLIENT_KEY"),
        *("CONSUL_HTTP_TOKEN", "X-Consul-Token"),
    ),
    "nomad": Variables(
        *("NOMAD_ADDR", "NOMAD_CACERT", "NOMAD_CLIENT_CERT", "NOMAD_CLIENT_KEY"),
        *("NOMAD_TOKEN", "X-Nomad-Token"),
    ),
    "etcd": Variables(
        *("ETCDCTL_ENDPOINTS", "ETCDCTL_CACERT", "ETCDCTL_CERT", "ETCDCTL_KEY"),
        *("ETCDCTL_USER", "Authorization"),
    ),
}


class SecuredLayout(AgentLayout):
    """The usual port of the API asks for a client certificate; Nomad and Consul have access control switched on."""

    def address(self, name: str) -> str:
        return super().address(name).replace("http://", "https://")

    def config(self, name: str, data_dir: Path) -> dict[str, Any]:
        config = super().config(name, data_dir)
        ca, cert, key = (str(data_dir.parent / file) for file in ("ca.pem", f"{name}.pem", f"{name}.key"))
        if self.kind == "consul":
            tokens = {"master": MANAGEMENT, "agent": MANAGEMENT}
            ports = {**config["ports"], "https": self.http_port, "http": self.http_port + PLAIN}
            acl = {"enabled": True, "default_policy": "deny", "tokens": tokens}
            files = {"ca_file": ca, "cert_file": cert, "key_file": key}
            return {**config, **files, "ports": ports, "acl": acl, "verify_incoming": True, "verify_outgoing": True}
        if self.kind == "nomad":
            checks = {"http": True, "rpc": True, "verify_https_client": True, "verify_server_hostname": True}
            tls = {**checks, "ca_file": ca, "cert_file": cert, "key_file": key}
            return {**config, "tls": tls, "acl": {"enabled": True}}
        trust = {"cert-file": cert, "key-file": key, "trusted-ca-file": ca, "client-cert-auth": True}
        return {**config, "client-transport-security": trust}


class SecuredLab(AgentLab):
    """What it asks itself goes over TLS too, with the client's certificate and the ``credential``."""

    def __init__(self, kind: AgentKind, servers: int, folder: Path, **options: Any) -> None:
        super().__init__(kind, servers, folder=folder, **options)
        self.layout = SecuredLayout(**asdict(self.layout))
        self.variables = VARIABLES[kind]
        self.credential = self.token = "" if kind == "etcd" else MANAGEMENT  # an operator's, and the lab's own
        make_certificates(folder, self.layout.hosts, "server.global.nomad", "localhost")
        for name in self.names:
            self.give(name, "server")
        self._trusted = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        self._trusted.load_cert_chain(folder / "client.pem", folder / "client.key")

    def give(self, name: str, certificate: str) -> None:
        """What this server shows from its next start on."""
        for kind in ("pem", "key"):
            shutil.copy(self.folder / f"{certificate}.{kind}", self.folder / f"{name}.{kind}")

    def leader(self) -> str | None:
        """The one that holds itself the leader; etcd says so to whoever has a certificate, by its metrics."""
        if self.layout.kind == "etcd":
            pages = {name: self.said(name, "GET", "/metrics") or b"" for name in self._answering()}
            led = [name for name, page in pages.items() if b"\netcd_server_is_leader 1\n" in page]
            return led[0] if len(led) == 1 else None
        answers = (self.said(name, "GET", "/v1/status/leader?stale") for name in self._answering())
        seen = {json.loads(answer) for answer in answers if answer}
        return next((name for name in self.names if seen == {self.layout.rpc_address(name)}), None)

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """The JSON of a 200 from a server that runs, waited for as access control begins some time after the API."""
        until = time.monotonic() + READY
        while (said := self.said(self._answering()[0], method, path, body)) is None:
            assert time.monotonic() < until, f"{method} {path} was refused for {READY:g} s; logs are in {self.folder}"
            time.sleep(0.5)
        return json.loads(said) if said else None

    def said(self, name: str, method: str, path: str, body: Any = None) -> bytes | None:
        """None where it is no 200."""
        place = urlsplit(self.layout.address(name)).netloc
        connection = http.client.HTTPSConnection(place, timeout=10, context=self._trusted)
        try:
            headers = {self.variables.header: self.token} if self.token else {}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            reply = connection.getresponse()
            said = reply.read()
            return said if reply.status == http.client.OK else None
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def environment(self, **changed: str) -> dict[str, str]:
        """As an operator sets it, who knows one server that runs; ``changed`` by the names of :class:`Variables`.

        A file is named as it is in the lab's folder; another variable by its own name.
        """
        files = {"ca": "ca.pem", "certificate": "client.pem", "key": "client.key"}
        known = {"address": self.layout.address(self._answering()[0]), **files, "credential": self.credential}
        environment = dict(os.environ)
        for name, value in {**known, **changed}.items():
            is_file = value.endswith((".pem", ".key"))
            environment[getattr(self.variables, name, name)] = str(self.folder / value) if is_file else value
        return environment

    def runbook(self, *words: str, **changed: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "runbook", *words],
            env=self.environment(**changed),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )

    def execute(self, state: Path, *options: str, **changed: str) -> Outcome:
        done = self.runbook("execute", PLAYBOOK, *QUICK, *options, RUNBOOK_STATE_DIR=str(state), **changed)
        newest = max((state / "runs").iterdir(), key=lambda folder: folder.stat().st_mtime)
        events = [json.loads(line) for line in (newest / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
        return Outcome(done.returncode, done.stdout + done.stderr, events)

    def follower(self) -> str:
        leader = self.wait_for_leader(60)
        return next(name for name in self.names if name != leader)

    def until(self, what: str, seen: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READY
        while not seen():
            assert time.monotonic() < deadline, f"no {what} within {READY:g} s; logs are in {self.folder}"
            time.sleep(0.5)


BAD_CERTIFICATES = [
    ({"certificate": "", "key": ""}, "a client certificate"),
    (  # by the alert that the server's release has for it
        {"certificate": "stranger.pem", "key": "stranger.key"},
        "turns (a|our) client certificate|does not know the authority of our client certificate",
    ),
    ({"certificate": "past.pem", "key": "past.key"}, "our client certificate has expired"),
    ({"ca": "other.pem"}, "signed by an authority that is not known here"),
]


def check_each(lab: SecuredLab, bad: list[tuple[dict[str, str], str]], state: Path, *, runs: int) -> None:
    """That each of these is told, and that nothing else is in the way; the last ``runs`` by a run, which changes
    nothing.
    """
    for number, (changed, said) in enumerate(reversed(bad)):
        checked = lab.runbook("check", **changed)
        assert (checked.returncode, bool(re.search(said, checked.stdout))) == (3, True), f"{changed}: {checked.stdout}"
        if number >= runs:
            continue
        outcome = lab.execute(state, **changed)
        told = bool(re.search(said, outcome.text))
        assert (outcome.code, outcome.asked, told) == (4, [], True), f"{changed}: {outcome.text}"
    assert lab.runbook("check").returncode == 0


def policy_of(page: str, number: int = 0) -> str:
    """What is there to be pasted."""
    text = (ROOT / "docs" / "servers" / page).read_text(encoding="utf-8")
    return str(re.findall(r"```hcl\n(.*?)```", text, re.DOTALL)[number])
