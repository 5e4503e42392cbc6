"""Where secrets come from."""

from __future__ import annotations

import os

import pytest

from runbook.errors import Mark, SecretError
from runbook.playbook.model import Secret
from runbook.redaction import Redactor
from runbook.secrets import SecretStore

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
