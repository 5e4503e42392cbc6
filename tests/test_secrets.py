"""Where secrets come from."""

from __future__ import annotations

import os

import pytest

from runbook.errors import Mark, SecretError
from runbook.playbook.model import Secret
from runbook.redaction import Redactor
from runbook.secrets import SecretStore
from tests.cluster.stub import reply, stub

MARK = Mark("a.yaml", 1, 1)


def test_one_name_in_two_playbooks_is_two_secrets() -> None:
    """A playbook within another declares its own: what it names is fetched, and not what the outer one fetched."""
    secret_store = SecretStore({"OUTER": "outer-secret", "INNER": "inner-secret"}, Redactor())
    found = [secret_store.fetch(Secret("hook", "env", (variable,), MARK)) for variable in ("OUTER", "INNER")]
    assert found == ["outer-secret", "inner-secret"]


def fetched(environment: dict[str, str], *argv: str) -> str:
    return SecretStore(environment, Redactor()).fetch(Secret("key", "exec", argv, MARK))


def test_a_command_that_prints_a_secret_sees_no_credentials_of_a_cluster() -> None:
    """They are for the cluster, and a helper may log its environment."""
    environment = {
        "PATH": os.defpath,
        "NOMAD_TOKEN": "nomad-token",
        "CONSUL_HTTP_AUTH": "user:password",
        "ETCDCTL_PASSWORD": "etcd-password",
        "AWS_PROFILE": "recovery",
    }
    assert fetched(environment, "sh", "-c", "env | grep -v ^PWD | sort | tr '\\n' ' '").split() == [
        "AWS_PROFILE=recovery",
        f"PATH={os.defpath}",
    ]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("yes secret", "printed more than 64 KiB"),
        ("printf short", "fewer than 6 characters"),
        ("printf 'a      \\n  b'", "fewer than 6 characters"),
        ("echo a-secret; exit 3", "ended with 3"),
        ("printf '\\377\\376 secret'", "no text"),
        ("echo a-secret; sleep 60", "did not end within 0.5 s"),
        ("echo a-secret; exec >&-; sleep 60", "did not end within 0.5 s"),
    ],
)
def test_what_a_command_may_not_print(script: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that names the secret, at once, and never a part of it."""
    monkeypatch.setattr("runbook.secrets.FETCH_WITHIN", 0.5)
    with pytest.raises(SecretError, match=words) as caught:
        fetched(dict(os.environ), "sh", "-c", script)
    assert "a-secret" not in str(caught.value)


def test_the_longest_secret_is_whole() -> None:
    """At its limit it is fetched, not cut."""
    assert len(fetched(dict(os.environ), "sh", "-c", "head -c 65536 /dev/zero | tr '\\0' x")) == 64 * 1024


def from_vault(body: object, status: int = 200, **environment: str) -> str:
    """What a server that answers so gives for the field ``password`` of ``kv/ssh``."""
    with stub(lambda *_: reply(body, status)) as server:
        reads = {"VAULT_ADDR": server.url, "VAULT_TOKEN": "the-token", **environment}
        return SecretStore(reads, Redactor()).fetch(Secret("key", "vault", ("kv/ssh", "password"), MARK))


@pytest.mark.parametrize(
    "data",
    [
        {"password": "of version 1"},
        {"password": "of version 1", "data": "a field"},
        {"password": "of version 1", "data": {"password": "of a field"}},
        {"data": {"password": "of version 2"}, "metadata": {"version": 1}},
    ],
)
def test_either_version_of_the_key_value_store_is_read(data: dict[str, object]) -> None:
    assert from_vault({"data": data}).startswith("of version")


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, {"data": {"other": "hidden-value"}}, "answered without a text named password. Check its name"),
        (200, {"data": {"password": 5, "other": "hidden-value"}}, "without a text named password"),
        (200, "hidden-value", "without a text named password"),
        (200, {"data": None}, "without a text named password"),
        (200, ["hidden-value"], "without a text named password"),
        (
            403,
            {"errors": ["permission denied"]},
            "403: permission denied. Check the token, its policy and the namespace",
        ),
        (404, {"errors": []}, "404: there is nothing, or it was deleted. Check the path"),
        (404, {"data": {"data": None, "metadata": {}}, "warnings": None}, "404: there is nothing, or it was deleted"),
        (404, {"data": None, "warnings": ["Invalid path for a versioned K/V secrets engine."]}, "vault:kv/data/ssh"),
        (404, {"errors": ["namespace not found"]}, "404: namespace not found. Check the path and the namespace"),
        (503, {"errors": ["Vault is sealed"]}, "503: Vault is sealed. Unseal it, or name another server"),
        (307, "", "answered 307"),
    ],
)
def test_each_reason_why_vault_gives_none_has_its_sentence(status: int, body: object, said: str) -> None:
    with pytest.raises(SecretError, match="^secret key: GET http://127.0.0.1:.*/v1/kv/ssh answered ") as caught:
        from_vault(body, status)
    assert said in str(caught.value)
    assert "hidden-value" not in str(caught.value)


def test_of_several_addresses_the_first_that_is_neither_silent_nor_sealed_is_read() -> None:
    with (
        stub(lambda *_: reply({"errors": ["Vault is sealed"]}, 503)) as sealed,
        stub(lambda *_: reply({"data": {"password": "of the third"}})) as third,
    ):
        environment = {"BAO_ADDR": f"http://127.0.0.1:1,{sealed.url},{third.url}", "BAO_NAMESPACE": "team"}
        found = SecretStore(environment, Redactor()).fetch(Secret("key", "vault", ("kv/ssh", "password"), MARK))
    assert found == "of the third"
    assert "X-Vault-Namespace: team" in third.heads[0][1]


def test_openbaos_variables_count_where_vaults_names_no_address() -> None:
    """A cluster of OpenBao and the Vault that holds the secrets are two places."""
    assert from_vault({"data": {"password": "of Vault's"}}, BAO_ADDR="http://127.0.0.1:1") == "of Vault's"


def test_what_vaults_variables_say_wrong_is_told_with_the_secret() -> None:
    with pytest.raises(SecretError, match="^secret key: VAULT_CACERT: /no/ca.pem: no such file"):
        from_vault({}, VAULT_CACERT="/no/ca.pem")
