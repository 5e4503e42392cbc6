"""Vault and OpenBao by the variables that ``vault`` and ``bao`` read, and by the token that a login of theirs keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbook.cluster.environment import cluster_from
from runbook.cluster.http import HttpSettings
from runbook.cluster.vault.adapter import VaultCluster
from runbook.errors import ClusterError, SettingsError
from tests.cluster.stub import CERTIFICATE, NAME_IN_CERTIFICATE, reply, stub

TOKEN = "hvs.a-token-of-vault"


def cluster(environment: dict[str, str], kind: str | None = None) -> VaultCluster:
    found = cluster_from(environment, read_only=True, kind=kind)
    assert isinstance(found, VaultCluster)
    return found


def settings(environment: dict[str, str], kind: str | None = None) -> HttpSettings:
    return cluster(environment, kind)._settings


@pytest.mark.parametrize(
    ("environment", "kind", "name", "urls"),
    [
        ({"VAULT_ADDR": "https://v:8200/"}, None, "vault:https://v:8200", ("https://v:8200",)),
        ({"BAO_ADDR": "http://b:1,http://c:1"}, None, "openbao:http://b:1", ("http://b:1", "http://c:1")),
        ({}, "vault", "vault:https://127.0.0.1:8200", ("https://127.0.0.1:8200",)),
        ({}, "openbao", "openbao:https://127.0.0.1:8200", ("https://127.0.0.1:8200",)),
        ({"VAULT_ADDR": "https://v"}, "openbao", "openbao:https://v", ("https://v",)),
        ({"VAULT_ADDR": "https://v", "BAO_ADDR": "https://b"}, "openbao", "openbao:https://b", ("https://b",)),
        ({"VAULT_ADDR": "https://v", "BAO_ADDR": "https://b"}, "vault", "vault:https://v", ("https://v",)),
    ],
)
def test_the_addresses_are_read(
    environment: dict[str, str], kind: str | None, name: str, urls: tuple[str, ...]
) -> None:
    """``bao`` takes its own variable first, then Vault's; ``vault`` only its own."""
    found = cluster(environment, kind)
    assert (found.name, found._entries) == (name, urls)


def test_bao_takes_its_own_variable_also_where_it_is_empty() -> None:
    """As its command line does: that is how one of Vault's is switched off."""
    assert settings({"BAO_TOKEN": "", "VAULT_TOKEN": TOKEN}, "openbao").headers == {}
    assert settings({"VAULT_TOKEN": TOKEN}, "openbao").headers == {"X-Vault-Token": TOKEN}
    assert settings({"BAO_TOKEN": TOKEN}, "vault").headers == {}


@pytest.mark.parametrize(
    ("environment", "kind", "token"),
    [
        ({}, "vault", "kept"),
        ({"VAULT_TOKEN": "given"}, "vault", "given"),
        ({"BAO_TOKEN_PATH": "other"}, "openbao", "elsewhere"),
        ({"BAO_TOKEN_PATH": "other"}, "vault", "kept"),
        ({"HOME": "/nowhere"}, "vault", None),
    ],
)
def test_the_token_of_a_login_is_taken_where_none_is_given(
    tmp_path: Path, environment: dict[str, str], kind: str, token: str | None
) -> None:
    (tmp_path / ".vault-token").write_text("kept\n")
    (tmp_path / "other").write_text("elsewhere")
    given = {key: str(tmp_path / value) if value == "other" else value for key, value in environment.items()}
    headers = settings({"HOME": str(tmp_path), **given}, kind).headers
    assert headers == ({"X-Vault-Token": token} if token else {})


@pytest.mark.parametrize("namespace", ["VAULT_NAMESPACE", "BAO_NAMESPACE"])
def test_no_namespace_is_sent(namespace: str) -> None:
    """What is asked for is in the root namespace alone: with another one every answer would be a refusal."""
    assert settings({namespace: "team"}, "openbao").plain == {"X-Vault-Request": "true"}


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"VAULT_ADDR": "http://v:1", "NOMAD_ADDR": "http://n:1"}, "NOMAD_ADDR and VAULT_ADDR are set"),
        ({"VAULT_ADDR": "http://v:1", "BAO_ADDR": "http://n:1"}, "VAULT_ADDR and BAO_ADDR are set"),
        ({"VAULT_ADDR": "v:8200"}, "VAULT_ADDR must be an http:// or https:// address, such as http://HOST:8200"),
        ({"VAULT_ADDR": "unix:///run/agent.sock"}, "VAULT_ADDR: unix:// addresses are not supported"),
        ({"VAULT_ADDR": "http://u:hunter2@v:1"}, "VAULT_ADDR must hold no user or password"),
        ({"VAULT_ADDR": "http://v:1", "VAULT_SKIP_VERIFY": "yes"}, "VAULT_SKIP_VERIFY must be true or false"),
        ({"VAULT_ADDR": "http://v:1", "VAULT_CACERT": "none"}, "VAULT_CACERT: none: no such file"),
        ({"BAO_ADDR": "http://v:1", "VAULT_CACERT": "none"}, "VAULT_CACERT: none: no such file"),
        ({"BAO_ADDR": "http://v:1", "BAO_CAPATH": "none"}, "BAO_CAPATH: none: no such folder"),
        ({"BAO_ADDR": "http://v:1", "BAO_CLIENT_CERT": "c"}, "BAO_CLIENT_CERT and BAO_CLIENT_KEY go together"),
        ({"VAULT_ADDR": "http://v:1", "VAULT_CACERT_BYTES": "x"}, "VAULT_CACERT_BYTES is not supported"),
        ({"VAULT_ADDR": "http://v:1", "VAULT_TOKEN": "a\nb"}, "VAULT_TOKEN holds characters that no token has"),
    ],
)
def test_what_is_wrong_names_the_variable(environment: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        cluster_from(environment, read_only=True)
    assert words in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_kept_token_that_is_none_is_told_by_its_file(tmp_path: Path) -> None:
    (tmp_path / ".vault-token").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match=r"\.vault-token: not a text file"):
        cluster({"HOME": str(tmp_path)}, "vault")


def test_tls_is_set_up_as_it_says() -> None:
    """The certificates to trust, a client certificate, and the name that is asked for and checked."""
    file = str(CERTIFICATE)
    with stub(lambda *_: reply({}), tls_delay=0) as server:
        environment = {"BAO_ADDR": server.url, "BAO_CACERT": file, "VAULT_TLS_SERVER_NAME": NAME_IN_CERTIFICATE}
        environment |= {"VAULT_CLIENT_CERT": file, "VAULT_CLIENT_KEY": file}
        found = cluster(environment)
        assert found._settings.certificate == (file, file)
        found._client.get(server.url, "/v1/sys/seal-status", found._network.monotonic() + 3)
        assert len(server.asked("GET")) == 1
        named = cluster(environment | {"BAO_TLS_SERVER_NAME": "another.name"})
        with pytest.raises(ClusterError, match="TLS failed"):
            named._client.get(server.url, "/v1/sys/seal-status", named._network.monotonic() + 3)
    assert settings({"VAULT_ADDR": "https://v", "VAULT_SKIP_VERIFY": "1"}).verify is False
    assert settings({"VAULT_ADDR": "https://v", "VAULT_SKIP_VERIFY": "0"}).verify


def test_the_token_is_sent_and_shown_nowhere() -> None:
    with stub(lambda *_: reply({})) as server:
        found = cluster({"VAULT_ADDR": server.url, "VAULT_TOKEN": f" {TOKEN}\n"})
        found._client.get(server.url, "/v1/sys/seal-status", found._network.monotonic() + 3)
        (head,) = server.heads
    assert f"X-Vault-Token: {TOKEN}\r\n" in head[1]
    assert "X-Vault-Request: true\r\n" in head[1]
    assert TOKEN not in repr(found._settings) + repr(vars(found))
    assert TOKEN in found.secrets
