"""A cluster of the inventory is asked as its entry says: with its credentials, and each server at its own address."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from runbook.cluster.choice import ClusterChoice, chosen_cluster, settled
from runbook.cluster.etcd.adapter import EtcdCluster
from runbook.cluster.hashicorp.adapter import HashiCorpCluster
from runbook.cluster.http import HttpSettings
from runbook.cluster.network import SystemNetwork
from runbook.cluster.port import Cluster
from runbook.cluster.vault.adapter import VaultCluster
from runbook.errors import ClusterError, SecretError, SettingsError
from runbook.lab.simulated import SimulatedLab
from runbook.raft.diagnosis.diagnose import diagnose
from runbook.raft.liveness import judge_once
from runbook.raft.model import ClusterView, Peer, Reach
from runbook.report.diagnosis import format_diagnosis
from tests.cluster.stub import CERTIFICATE, NAME_IN_CERTIFICATE, reply, stub

TOKEN = "a-token-of-nomad"
PEER = Peer("s3-id", "127.0.0.3:4647", voter=True)


def of_text(
    tmp_path: Path, text: str, environment: Mapping[str, str] | None = None, *, read_only: bool = True
) -> Cluster:
    """The cluster ``dev`` of an inventory in which it has these keys."""
    path = tmp_path / "clusters.yaml"
    path.write_text(f"inventory: 1\nclusters:\n  dev: {{ {text} }}\n")
    return chosen_cluster(ClusterChoice("dev", str(path)), environment or {}, read_only=read_only)


def settings_of(cluster: Cluster) -> HttpSettings:
    assert isinstance(cluster, HashiCorpCluster)
    assert isinstance(cluster._network._network, SystemNetwork)
    return cluster._network._network._settings


def test_a_nomad_cluster_gets_what_its_entry_says(tmp_path: Path) -> None:
    """Its name, its region, its token, its login, its files; nothing of the environment of the nomad command."""
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    cluster = of_text(
        tmp_path,
        f"kind: nomad, region: eu, addresses: ['https://a:1/', 'https://b/prefix'], "
        f"credentials: {{ token: 'file:{tmp_path}/token', login: 'env:LOGIN' }}, "
        f"tls: {{ ca: {CERTIFICATE}, cert: {CERTIFICATE}, key: {CERTIFICATE}, server_name: s.nomad }}",
        {"LOGIN": "ops:a-password", "NOMAD_TOKEN": "another-token", "NOMAD_REGION": "us", "NOMAD_ADDR": "http://c"},
    )
    settings = settings_of(cluster)
    assert cluster.name == "nomad:dev"
    assert isinstance(cluster, HashiCorpCluster)
    assert cluster._entries == ("https://a:1", "https://b/prefix")
    assert cluster._client.region == "eu"
    assert settings.headers == {"X-Nomad-Token": TOKEN}
    assert settings.basic_auth == ("ops", "a-password")
    assert settings.verify == str(CERTIFICATE)
    assert settings.certificate == (str(CERTIFICATE), str(CERTIFICATE))
    assert settings.server_name_at("https://a:1") == "s.nomad"
    assert {TOKEN, "a-password"} <= set(cluster.secrets)


def test_a_server_may_have_a_tls_name_of_its_own(tmp_path: Path) -> None:
    """Behind tunnels each has the bastion's address and a certificate for another name."""
    addresses = "{ s1: { url: 'https://b:1', tls_server_name: s1.nomad }, s2: 'https://b:2' }"
    settings = settings_of(of_text(tmp_path, f"kind: nomad, addresses: {addresses}, tls: {{ server_name: any.nomad }}"))
    assert settings.server_name_at("https://b:1") == "s1.nomad"
    assert settings.server_name_at("https://b:2") == "any.nomad"


def test_the_name_of_an_address_is_asked_for_and_checked_there_alone(tmp_path: Path) -> None:
    """A second address of the same machine has another certificate in mind, and is not believed for the first one's."""
    with stub(lambda *_: reply(), tls_delay=0) as one, stub(lambda *_: reply(), tls_delay=0) as two:
        named = f"{{ url: '{one.url}/nomad/1', tls_server_name: {NAME_IN_CERTIFICATE} }}"
        tls = f"tls: {{ ca: {CERTIFICATE}, server_name: server.eu.nomad }}"
        of_text(tmp_path, f"kind: nomad, {tls}, addresses: [{named}, '{two.url}']", read_only=False).remove_peer(PEER)
        (head,) = one.heads
        assert head[1].startswith("DELETE /nomad/1/v1/operator/raft/peer?")
        with pytest.raises(ClusterError, match="TLS failed"):
            of_text(tmp_path, f"kind: nomad, {tls}, addresses: ['{two.url}']", read_only=False).remove_peer(PEER)
        assert two.heads == []


def test_a_consul_cluster_has_consuls_header_and_may_skip_verification(tmp_path: Path) -> None:
    """And without credentials there are no headers at all."""
    text = "kind: consul, addresses: ['https://a'], tls: { skip_verify: true }"
    assert settings_of(of_text(tmp_path, text)).headers == {}
    settings = settings_of(of_text(tmp_path, f"{text}, credentials: {{ token: 'env:T' }}", {"T": TOKEN}))
    assert (settings.headers, settings.verify) == ({"X-Consul-Token": TOKEN}, False)


def test_an_etcd_cluster_has_a_user_and_each_member_its_own_address(tmp_path: Path) -> None:
    """The user signs in at etcd itself, so nothing of it is in a header of ours."""
    cluster = of_text(
        tmp_path,
        "kind: etcd, addresses: { e1: 'https://a:2379' }, credentials: { login: 'env:L' }",
        {"L": "root:a-password"},
    )
    assert isinstance(cluster, EtcdCluster)
    assert (cluster.name, cluster._entries, cluster._servers) == (
        "etcd:dev",
        ("https://a:2379",),
        {"https://a:2379": "e1"},
    )
    assert cluster._settings.headers == {}
    assert cluster._settings.basic_auth is None
    assert "a-password" in cluster.secrets


@pytest.mark.parametrize("kind", ["vault", "openbao"])
def test_a_vault_cluster_has_a_token_and_each_server_its_own_address(tmp_path: Path, kind: str) -> None:
    """And errors name the inventory, not a variable that was never read."""
    cluster = of_text(
        tmp_path,
        f"kind: {kind}, addresses: {{ s1: 'https://a:8200' }}, credentials: {{ token: 'env:T' }}",
        {"T": TOKEN, "VAULT_TOKEN": "another", "BAO_ADDR": "https://b"},
    )
    assert isinstance(cluster, VaultCluster)
    assert (cluster.name, cluster._servers) == (f"{kind}:dev", {"https://a:8200": "s1"})
    assert cluster._settings.headers == {"X-Vault-Token": TOKEN}
    assert cluster._product.addresses == f"the addresses of dev in {tmp_path}/clusters.yaml"


@pytest.mark.parametrize(
    ("text", "error", "sentence"),
    [
        ("credentials: { token: 'env:T' }", SecretError, "secret token of dev: the environment variable T is not set"),
        ("credentials: { token: 'file:/nowhere' }", SecretError, "secret token of dev: /nowhere: No such file"),
        ("credentials: { token: 'exec:false' }", SecretError, "secret token of dev: false ended with 1"),
        ("credentials: { token: \"exec:printf 'abc\\\\ndef'\" }", SettingsError, "token of dev holds characters"),
        ("tls: { ca: /nowhere }", SettingsError, "ca of dev: /nowhere: no such file"),
        ("tls: { cert: /etc, key: /etc }", SettingsError, "cert of dev: /etc: not a regular file"),
    ],
)
def test_what_cannot_be_had_is_told_before_anything_is_sent(
    tmp_path: Path, text: str, error: type[Exception], sentence: str
) -> None:
    """The name of the cluster, the key, and why."""
    with pytest.raises(error) as caught:
        of_text(tmp_path, f"kind: nomad, addresses: ['https://a'], {text}")
    assert sentence in str(caught.value)


def test_a_name_that_is_not_there_and_a_file_that_is_not_there(tmp_path: Path) -> None:
    """Nothing is guessed."""
    path = tmp_path / "clusters.yaml"
    path.write_text("inventory: 1\nclusters: { dev: { kind: nomad, addresses: [http://a] } }\n")
    with pytest.raises(SettingsError, match="names no cluster prod; it has dev"):
        chosen_cluster(ClusterChoice("prod", str(path)), {}, read_only=True)
    with pytest.raises(SettingsError, match="cannot be read"):
        chosen_cluster(ClusterChoice("prod", str(tmp_path / "x")), {}, read_only=True)


def test_a_settled_choice_names_the_file(tmp_path: Path) -> None:
    """A resumed run reads the same one, from whatever folder."""
    choice = settled(ClusterChoice("dev"), {"RUNBOOK_INVENTORY": str(tmp_path / "clusters.yaml")})
    assert choice == ClusterChoice("dev", str(tmp_path / "clusters.yaml"))
    assert settled(ClusterChoice(kind="nomad"), {}) == ClusterChoice(kind="nomad")


# -- each server's own address


def looked(tmp_path: Path, addresses: Mapping[str, str]) -> ClusterView:
    listed = ", ".join(f"{server}: '{url}'" for server, url in addresses.items())
    return of_text(tmp_path, f"kind: nomad, addresses: {{ {listed} }}").look()


def test_each_address_is_known_by_the_server_whose_own_it_is(tmp_path: Path) -> None:
    """By name or by id; and one that does not answer there is known by who was expected."""
    with SimulatedLab(3, gossip_delay=0.3) as lab:
        leader = lab.wait_for_leader()
        urls = dict(zip(lab.names, lab.addresses, strict=True))
        frozen = next(name for name in lab.names if name != leader)
        seen = {vantage.name: vantage.server_id for vantage in looked(tmp_path, urls).vantages}
        lab.freeze(frozen)
        by_name = looked(tmp_path, {f"{name}.global": url for name, url in urls.items()})
        by_id = looked(tmp_path, {str(seen[f"{name}.global"]): url for name, url in urls.items()})
    for view in (by_name, by_id):
        at = {vantage.url: vantage for vantage in view.vantages}
        assert at[urls[frozen]].expected_id == seen[f"{frozen}.global"]
        assert at[urls[frozen]].reach is Reach.ACCEPTED
        assert [v.trouble for v in view.answering] == [None, None]


def test_an_address_at_which_another_server_answers_is_told(tmp_path: Path) -> None:
    """What it says counts as its own, and proves nothing of the one that was expected."""
    with SimulatedLab(3, gossip_delay=0.3) as lab:
        lab.wait_for_leader()
        one, two, three = lab.addresses
        view = looked(tmp_path, {"s1.global": two, "s2.global": one, "s3.global": three})
        named = {vantage.url: (vantage.name, vantage.trouble) for vantage in view.vantages}
        assert named[two] == ("s2.global", f"{two} is given as the address of s1.global, but s2.global answers there")
        assert named[three] == ("s3.global", None)
        told = " ".join(" ".join(format_diagnosis(view, diagnose(view))).split())
        assert f"{two} is given as the address of s1.global, but s2.global answers there" in told
        assert f"{three} is given" not in told
        peers = view.configuration.peers if view.configuration else ()
        assert {judge_once(view, peer).liveness.value for peer in peers} == {"alive"}
