"""An inventory that is begun from a look can be used as it stands, and asks a person for what no cluster tells."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from runbook.cluster.inventory.draft import draft_inventory
from runbook.cluster.inventory.model import InventoryCluster
from runbook.cluster.inventory.parser import parse_inventory
from runbook.raft.model import ClusterView, Configuration, Peer, Reach, Vantage

PEERS = tuple(Peer(f"id-{n}", f"10.0.0.1{n}:4647", voter=True, name=f"s{n}.eu") for n in (2, 1, 3))
SECRET = "a-secret-that-stands-nowhere"


def view_of(peers: tuple[Peer, ...], vantages: tuple[Vantage, ...]) -> ClusterView:
    return ClusterView("nomad:x", 0.0, Configuration(peers), peers[0].id, vantages=vantages)


def answer(peer: Peer, url: str, other_id: str | None = None) -> Vantage:
    return Vantage(url, Reach.ANSWERED, server_id=peer.id, name=peer.name, raft_address=peer.address, other_id=other_id)


def drafted(
    view: ClusterView, kind: str = "nomad", environment: Mapping[str, str] | None = None
) -> tuple[str, InventoryCluster]:
    text = draft_inventory(view, kind, "dev", environment or {})
    (cluster,) = parse_inventory(text.encode(), "clusters.yaml").clusters
    return text, cluster


def test_each_server_that_answered_has_its_address_and_the_others_are_asked_for() -> None:
    """In the order of their names; where its API may be is a guess, so it stands in a comment."""
    two, one, _three = PEERS
    view = view_of(PEERS, (answer(two, "https://10.0.0.12:4646"), answer(one, "https://10.0.0.11:4646")))
    text, cluster = drafted(view)
    assert [(each.server, each.url) for each in cluster.addresses] == [
        ("s1.eu", "https://10.0.0.11:4646"),
        ("s2.eu", "https://10.0.0.12:4646"),
    ]
    assert "# s3.eu: https://10.0.0.13:4646   # it did not answer" in text
    assert "#   s3.eu: { ssh: USER@10.0.0.13, sudo: true }" in text


@pytest.mark.parametrize("name", ["n", "no", "1", "1e3", "0x1f", "null"])
def test_a_name_that_yaml_takes_for_something_else_is_quoted(name: str) -> None:
    """It was typed as a name."""
    view = view_of(PEERS, (answer(PEERS[0], "http://10.0.0.12:4646"),))
    (cluster,) = parse_inventory(draft_inventory(view, "nomad", name, {}).encode(), "clusters.yaml").clusters
    assert cluster.name == name


def test_a_balancer_is_listed_as_the_address_of_nobody() -> None:
    """Behind it nobody knows whose words these were."""
    url = "http://nomad.example.org"
    _, cluster = drafted(view_of(PEERS, (answer(PEERS[0], url, other_id="id-1"),)))
    assert [(each.server, each.url) for each in cluster.addresses] == [("", url)]


def test_names_that_cannot_be_keys_are_ids() -> None:
    """Two servers with one name, one that YAML takes for a number, and one that is no name at all."""
    names = ("twin", "twin", "1", "a b", "no")
    peers = tuple(Peer(f"{n}e{n}", f"[::{n}]:8300", voter=True, name=name) for n, name in enumerate(names, 1))
    view = view_of(peers, tuple(answer(peer, f"http://[::{n}]:8500") for n, peer in enumerate(peers, 1)))
    _, cluster = drafted(view, "consul")
    assert {each.url: each.server for each in cluster.addresses} == {
        "http://[::1]:8500": "1e1",
        "http://[::2]:8500": "2e2",
        "http://[::3]:8500": "1",
        "http://[::4]:8500": "4e4",
        "http://[::5]:8500": "no",
    }


NOMAD = {
    "NOMAD_TOKEN": SECRET,
    "NOMAD_HTTP_AUTH": f"ops:{SECRET}",
    "NOMAD_CACERT": "ca.pem",
    "NOMAD_CLIENT_CERT": "/c.pem",
    "NOMAD_CLIENT_KEY": "/k.pem",
    "NOMAD_TLS_SERVER_NAME": "server.eu.nomad",
    "NOMAD_REGION": "eu",
}


@pytest.mark.parametrize(
    ("kind", "environment", "credentials"),
    [
        ("nomad", NOMAD, {"token": ("env", ("NOMAD_TOKEN",)), "login": ("env", ("NOMAD_HTTP_AUTH",))}),
        ("nomad", {}, {}),
        ("etcd", {"ETCDCTL_USER": f"root:{SECRET}"}, {"login": ("env", ("ETCDCTL_USER",))}),
        ("vault", {"VAULT_TOKEN": SECRET}, {"token": ("env", ("VAULT_TOKEN",))}),
        ("openbao", {"VAULT_TOKEN": SECRET}, {"token": ("env", ("VAULT_TOKEN",))}),
        ("openbao", {"VAULT_TOKEN": "x", "BAO_TOKEN": SECRET}, {"token": ("env", ("BAO_TOKEN",))}),
        ("consul", {"CONSUL_HTTP_TOKEN": SECRET}, {"token": ("env", ("CONSUL_HTTP_TOKEN",))}),
        (
            "consul",
            {"CONSUL_HTTP_TOKEN": SECRET, "CONSUL_HTTP_TOKEN_FILE": "/run/token"},
            {"token": ("file", ("/run/token",))},
        ),
    ],
)
def test_credentials_are_named_and_not_written(
    kind: str, environment: Mapping[str, str], credentials: Mapping[str, tuple[str, tuple[str, ...]]]
) -> None:
    """By the variables and files that the cluster's own command line reads (I13)."""
    text, cluster = drafted(view_of(PEERS, (answer(PEERS[0], "https://10.0.0.12:4646"),)), kind, environment)
    assert {name: (secret.source, secret.target) for name, secret in cluster.credentials.items()} == credentials
    assert SECRET not in text


def test_files_for_tls_and_the_region_are_those_of_the_environment() -> None:
    """A path is written whole, as the next one to read it stands in another folder."""
    _, cluster = drafted(view_of(PEERS, (answer(PEERS[0], "https://10.0.0.12:4646"),)), "nomad", NOMAD)
    assert cluster.tls.ca.startswith("/")
    assert cluster.tls.ca.endswith("/ca.pem")
    assert (cluster.tls.cert, cluster.tls.key, cluster.tls.server_name) == ("/c.pem", "/k.pem", "server.eu.nomad")
    assert cluster.region == "eu"


def test_openbao_may_have_vaults_variables() -> None:
    environment = {"VAULT_CACERT": "/v.pem", "BAO_CACERT": "/b.pem", "VAULT_TLS_SERVER_NAME": "vault.example.com"}
    _, cluster = drafted(view_of(PEERS, (answer(PEERS[0], "https://10.0.0.12:8200"),)), "openbao", environment)
    assert (cluster.tls.ca, cluster.tls.server_name) == ("/b.pem", "vault.example.com")
