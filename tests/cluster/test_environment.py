"""Which cluster the environment means, as its own command line reads it; what is wrong is told before the start."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from runbook.cluster.environment import cluster_from
from runbook.cluster.hashicorp.adapter import HashiCorpCluster
from runbook.cluster.http import HttpClient, HttpSettings
from runbook.cluster.network import SystemNetwork
from runbook.cluster.port import Cluster
from runbook.errors import ClusterError, SettingsError
from runbook.raft.model import Peer
from tests.cluster.stub import CERTIFICATE, NAME_IN_CERTIFICATE, reply, stub

PASSWORD = "hunter2hunter2"
PEER = Peer("s3-id", "127.0.0.3:4647", voter=True)


def entries(environment: dict[str, str]) -> tuple[str, ...]:
    cluster = cluster_from(environment, read_only=True)
    assert isinstance(cluster, HashiCorpCluster)
    return cluster._entries


def settings(environment: dict[str, str]) -> HttpSettings:
    return settings_of(cluster_from(environment, read_only=True))


def settings_of(cluster: Cluster) -> HttpSettings:
    assert isinstance(cluster, HashiCorpCluster)
    assert isinstance(cluster._network._network, SystemNetwork)
    return cluster._network._network._settings


@pytest.mark.parametrize(
    ("environment", "name", "urls"),
    [
        ({}, "nomad:http://127.0.0.1:4646", ("http://127.0.0.1:4646",)),
        ({"NOMAD_ADDR": ""}, "nomad:http://127.0.0.1:4646", ("http://127.0.0.1:4646",)),
        ({"NOMAD_ADDR": "https://n:1/"}, "nomad:https://n:1", ("https://n:1",)),
        ({"NOMAD_ADDR": "http://a:1, http://b:1,,http://a:1/"}, "nomad:http://a:1", ("http://a:1", "http://b:1")),
        ({"NOMAD_ADDR": "http://[::1]:4646"}, "nomad:http://[::1]:4646", ("http://[::1]:4646",)),
        ({"CONSUL_HTTP_ADDR": "c:8500"}, "consul:http://c:8500", ("http://c:8500",)),
        ({"CONSUL_HTTP_ADDR": "c:1,https://d:1"}, "consul:http://c:1", ("http://c:1", "https://d:1")),
        ({"CONSUL_HTTP_ADDR": "c:1", "CONSUL_HTTP_SSL": "true"}, "consul:https://c:1", ("https://c:1",)),
        ({"CONSUL_HTTP_ADDR": "http://c:1", "CONSUL_HTTP_SSL": "1"}, "consul:https://c:1", ("https://c:1",)),
        ({"CONSUL_HTTP_ADDR": "c:1", "NOMAD_ADDR": ""}, "consul:http://c:1", ("http://c:1",)),
    ],
)
def test_the_addresses_are_read(environment: dict[str, str], name: str, urls: tuple[str, ...]) -> None:
    """Several may be given with commas between."""
    assert cluster_from(environment, read_only=True).name == name
    assert entries(environment) == urls


BOTH = {"CONSUL_HTTP_ADDR": "c:1", "NOMAD_ADDR": "http://n:1"}


@pytest.mark.parametrize(
    ("environment", "kind", "name"),
    [
        (BOTH, "nomad", "nomad:http://n:1"),
        (BOTH, "consul", "consul:http://c:1"),
        ({}, "consul", "consul:http://127.0.0.1:8500"),
        ({"CONSUL_HTTP_ADDR": "c:1"}, "nomad", "nomad:http://127.0.0.1:4646"),
    ],
)
def test_a_kind_says_which_is_meant(environment: dict[str, str], kind: str, name: str) -> None:
    """Whatever else is set."""
    assert cluster_from(environment, read_only=True, kind=kind).name == name


WRONG = [
    (BOTH, "NOMAD_ADDR and CONSUL_HTTP_ADDR are set, and only one cluster can be meant. Say which: --kind nomad or"),
    ({"NOMAD_ADDR": "n:4646"}, "NOMAD_ADDR must be an http:// or https:// address, such as http://HOST:4646"),
    ({"NOMAD_ADDR": "http://"}, "NOMAD_ADDR must be"),
    ({"NOMAD_ADDR": "http://n:port"}, "NOMAD_ADDR must be"),
    ({"NOMAD_ADDR": "http://n:99999"}, "NOMAD_ADDR must be"),
    ({"NOMAD_ADDR": "http://[::1"}, "NOMAD_ADDR must be"),
    ({"NOMAD_ADDR": "http://n:1?token=x"}, "NOMAD_ADDR must be"),
    ({"NOMAD_ADDR": "http://n:1,ftp://m"}, "NOMAD_ADDR must be"),
    ({"NOMAD_ADDR": ","}, "NOMAD_ADDR names no address"),
    ({"NOMAD_ADDR": "unix://run/nomad.sock"}, "NOMAD_ADDR: a unix:// address names a socket by its whole path"),
    ({"CONSUL_HTTP_ADDR": "unix:///"}, "CONSUL_HTTP_ADDR: a unix:// address names a socket by its whole path"),
    ({"ETCDCTL_ENDPOINTS": "unix:///run/etcd.sock"}, "ETCDCTL_ENDPOINTS: unix:// addresses are not supported"),
    ({"NOMAD_ADDR": f"http://u:{PASSWORD}@n:1"}, "USER:PASSWORD in NOMAD_HTTP_AUTH"),
    ({"NOMAD_ADDR": f"http://u:{PASSWORD}@n:port"}, "USER:PASSWORD in NOMAD_HTTP_AUTH"),
    ({"CONSUL_HTTP_ADDR": f"u:{PASSWORD}@c:1"}, "USER:PASSWORD in CONSUL_HTTP_AUTH"),
    ({"NOMAD_TOKEN": f"{PASSWORD}\nX-Evil: 1"}, "NOMAD_TOKEN holds characters that no token has"),
    ({"NOMAD_TOKEN": f"{PASSWORD}ü"}, "NOMAD_TOKEN holds characters that no token has"),
    ({"NOMAD_CACERT": "missing.pem"}, "NOMAD_CACERT: missing.pem: no such file"),
    ({"NOMAD_CAPATH": "missing"}, "NOMAD_CAPATH: missing: no such folder"),
    ({"NOMAD_SKIP_VERIFY": "true", "NOMAD_CACERT": "missing.pem"}, "NOMAD_CACERT: missing.pem: no such file"),
    ({"NOMAD_CLIENT_CERT": "c.pem"}, "NOMAD_CLIENT_CERT and NOMAD_CLIENT_KEY go together"),
    ({"NOMAD_CLIENT_KEY": "k.pem"}, "NOMAD_CLIENT_CERT and NOMAD_CLIENT_KEY go together"),
    ({"NOMAD_CLIENT_CERT": str(CERTIFICATE), "NOMAD_CLIENT_KEY": "k.pem"}, "NOMAD_CLIENT_KEY: k.pem: no such file"),
    ({"CONSUL_HTTP_ADDR": "c:1", "CONSUL_CACERT": "missing.pem"}, "CONSUL_CACERT: missing.pem: no such file"),
    ({"CONSUL_HTTP_ADDR": "c:1", "CONSUL_HTTP_TOKEN_FILE": "none"}, "CONSUL_HTTP_TOKEN_FILE: none: No such file"),
]


@pytest.mark.parametrize(("environment", "words"), WRONG, ids=[words[:50] for _, words in WRONG])
def test_what_is_wrong_names_the_variable_and_tells_no_secret(environment: dict[str, str], words: str) -> None:
    """Before anything is sent; a tool that ignores a setting in silence would speak to the wrong server."""
    with pytest.raises(SettingsError) as caught:
        cluster_from(environment, read_only=True)
    assert words in str(caught.value)
    assert PASSWORD not in str(caught.value)


def test_a_token_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    """And not shown."""
    file = tmp_path / "token"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="not a text file"):
        cluster_from({"CONSUL_HTTP_ADDR": "c:1", "CONSUL_HTTP_TOKEN_FILE": str(file)}, read_only=True)


@pytest.mark.parametrize(("content", "token"), [("from-file\n", "from-file"), (" \n", "from-variable")])
def test_the_token_file_wins_over_the_variable(tmp_path: Path, content: str, token: str) -> None:
    """As for Consul's own client, unless the file is empty."""
    (tmp_path / "token").write_text(content)
    environment = {
        "CONSUL_HTTP_ADDR": "c:1",
        "CONSUL_HTTP_TOKEN": "from-variable",
        "CONSUL_HTTP_TOKEN_FILE": str(tmp_path / "token"),
    }
    assert settings(environment).headers == {"X-Consul-Token": token}


@pytest.mark.parametrize(
    ("environment", "verify"),
    [
        ({"NOMAD_SKIP_VERIFY": "true"}, False),
        ({"NOMAD_SKIP_VERIFY": "banana", "NOMAD_CACERT": str(CERTIFICATE)}, str(CERTIFICATE)),
        ({"NOMAD_CACERT": str(CERTIFICATE), "NOMAD_CAPATH": str(CERTIFICATE.parent)}, str(CERTIFICATE)),
        ({"NOMAD_CAPATH": str(CERTIFICATE.parent)}, str(CERTIFICATE.parent)),
        ({"CONSUL_HTTP_ADDR": "c:1", "CONSUL_HTTP_SSL_VERIFY": "false"}, False),
    ],
)
def test_what_is_trusted_is_read(environment: dict[str, str], verify: bool | str) -> None:
    """A word that is no boolean leaves the check on, as for Nomad's own client."""
    assert settings(environment).verify == verify


def test_by_default_something_is_trusted_and_not_everything() -> None:
    """Never off without being asked for."""
    assert settings({}).verify


def test_secrets_are_sent_and_never_shown() -> None:
    """The token in its header, the password in Basic, neither in a repr."""
    secrets = {"NOMAD_TOKEN": " secret-token \n", "NOMAD_HTTP_AUTH": f"mönitor:{PASSWORD}:x"}
    with stub(lambda *_: reply()) as server:
        target = cluster_from({"NOMAD_ADDR": server.url, **secrets}, read_only=False)
        target.remove_peer(PEER)
        head = server.heads[0][1]
    assert "X-Nomad-Token: secret-token\r\n" in head
    assert "Authorization: Basic bcO2bml0b3I6aHVudGVyMmh1bnRlcjI6eA==\r\n" in head
    assert PASSWORD not in repr(settings_of(target)) + repr(vars(target))
    assert "secret-token" not in repr(settings_of(target)) + repr(vars(target))


def test_no_proxy_and_no_netrc_come_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy set for the web would be handed the management token."""
    with stub(lambda *_: reply()) as server, stub(lambda *_: reply()) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        cluster_from({"NOMAD_ADDR": server.url}, read_only=False).remove_peer(PEER)
        assert (server.connections, proxy.connections) == (1, 0)


# -- TLS


def tls(**more: str) -> dict[str, str]:
    return {"NOMAD_CACERT": str(CERTIFICATE), **more}


def test_a_server_name_of_its_own_is_asked_for_and_checked() -> None:
    """Nomad's certificates carry server.<region>.nomad and no address."""
    with stub(lambda *_: reply(), tls_delay=0) as server:
        named = tls(NOMAD_ADDR=server.url, NOMAD_TLS_SERVER_NAME=NAME_IN_CERTIFICATE)
        cluster_from(named, read_only=False).remove_peer(PEER)
        assert len(server.asked("DELETE")) == 1


@pytest.mark.parametrize("more", [{}, {"NOMAD_TLS_SERVER_NAME": "server.eu.nomad"}], ids=["none", "another"])
def test_a_certificate_for_another_name_is_refused(more: dict[str, str]) -> None:
    """The name is checked, and not only sent."""
    with stub(lambda *_: reply(), tls_delay=0) as server:
        with pytest.raises(ClusterError, match="TLS failed"):
            cluster_from(tls(NOMAD_ADDR=server.url, **more), read_only=False).remove_peer(PEER)
        assert server.heads == []


def test_consul_has_its_own_server_name() -> None:
    """The same promise under the other prefix, with an address that has no scheme."""
    with stub(lambda *_: reply(), tls_delay=0) as server:
        environment = {
            "CONSUL_HTTP_ADDR": server.url.partition("://")[2],
            "CONSUL_HTTP_SSL": "true",
            "CONSUL_CACERT": str(CERTIFICATE),
            "CONSUL_TLS_SERVER_NAME": NAME_IN_CERTIFICATE,
        }
        cluster_from(environment, read_only=False).remove_peer(PEER)
        assert len(server.asked("DELETE")) == 1


def test_an_authority_below_the_root_is_enough() -> None:
    """A CA file often holds the issuing authority alone. The clusters' own clients trust it, so we do."""
    issued, authority = (CERTIFICATE.with_name(name) for name in ("issued.pem", "intermediate.pem"))
    with stub(lambda *_: reply(), tls_delay=0, certificate=issued) as server:
        environment = {"NOMAD_ADDR": server.url, "NOMAD_TLS_SERVER_NAME": NAME_IN_CERTIFICATE}
        with pytest.raises(ClusterError, match="TLS failed"):
            cluster_from({**environment, "NOMAD_CACERT": str(CERTIFICATE)}, read_only=False).remove_peer(PEER)
        cluster_from({**environment, "NOMAD_CACERT": str(authority)}, read_only=False).remove_peer(PEER)
        assert len(server.asked("DELETE")) == 1


def test_a_check_that_was_switched_off_is_quiet() -> None:
    """No library warns on the screen of an incident about what was asked for by name; here a warning is an error."""
    with stub(lambda *_: reply(), tls_delay=0) as server:
        environment = {"NOMAD_ADDR": server.url, "NOMAD_SKIP_VERIFY": "1"}
        cluster_from(environment, read_only=False).remove_peer(PEER)
        assert len(server.asked("DELETE")) == 1


def test_a_file_that_holds_no_certificate_is_told(tmp_path: Path) -> None:
    """It is there and may be read, yet TLS cannot use it."""
    (tmp_path / "ca.pem").write_text("no certificate\n")
    with stub(lambda *_: reply(), tls_delay=0) as server:
        environment = {"NOMAD_ADDR": server.url, "NOMAD_CACERT": str(tmp_path / "ca.pem")}
        with pytest.raises(ClusterError, match="TLS failed"):
            cluster_from(environment, read_only=False).remove_peer(PEER)
        assert server.heads == []


def test_ipv6_is_spoken() -> None:
    """An address in brackets, as in a URL."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with pytest.raises(ClusterError, match="nothing listens there"):
        HttpClient("http://[::1]:9", HttpSettings()).ask("GET", "/", timeout=1)


def test_a_dry_run_sends_no_removal() -> None:
    """Read-only reaches down to the one door."""
    with stub(lambda *_: reply()) as server:
        target = cluster_from({"NOMAD_ADDR": server.url}, read_only=True)
        with pytest.raises(ClusterError, match="dry run"):
            target.remove_peer(PEER)
        assert server.connections == 0
