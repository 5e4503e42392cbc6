"""Mutual TLS and access control of Nomad: the job with a management token, as less is not enough for the first look;
and what is wrong with each bad credential.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.secured import BAD_CERTIFICATES, UNKNOWN, SecuredLab, check_each, policy_of

pytestmark = pytest.mark.nomad


@pytest.fixture
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SecuredLab]:
    with SecuredLab("nomad", getattr(request, "param", 5), tmp_path / "lab") as lab:
        lab.wait_for_leader(60)
        lab.credential = lab.token = lab.ask("POST", "/v1/acl/bootstrap", {})["SecretID"]
        yield lab


def token_with(lab: SecuredLab, rules: str) -> str:
    lab.ask("POST", "/v1/acl/policy/p", {"Name": "p", "Rules": rules})
    return str(lab.ask("POST", "/v1/acl/token", {"Name": "p", "Type": "client", "Policies": ["p"]})["SecretID"])


WRITES_ALL = """
operator { policy = "write" }
agent { policy = "write" }
node { policy = "write" }
namespace "*" { policy = "write" }
"""


def test_a_management_token_removes_and_no_policy_is_enough_to_look(lab: SecuredLab, tmp_path: Path) -> None:
    """Both releases alike: 403 of the configuration and of the removal to one that may write everything."""
    writes = token_with(lab, WRITES_ALL)
    doctor = lab.runbook("doctor").stdout
    assert "permission  a server may be removed with it" in doctor, doctor
    killed = lab.follower()
    lab.kill(killed)
    outcome = lab.execute(tmp_path / "writes", credential=writes)
    assert (outcome.code, outcome.asked) == (4, []), outcome.text
    assert "answered 403: Permission denied. This needs a management token in NOMAD_TOKEN" in outcome.text
    outcome = lab.execute(tmp_path / "removes")
    assert (outcome.code, outcome.asked) == (0, [killed]), outcome.text
    assert "no state snapshot" not in outcome.text


@pytest.mark.parametrize("lab", [3], indirect=True)
def test_each_bad_credential_has_its_sentence(lab: SecuredLab, tmp_path: Path) -> None:
    bad = [
        *BAD_CERTIFICATES,
        ({"NOMAD_TLS_SERVER_NAME": "n.example.org"}, "its certificate is not for n.example.org, but for 127.0."),
        ({"address": lab.layout.address("s1").replace("https://", "http://")}, "Write https:// in NOMAD_ADDR"),
        *[({"credential": wrong}, "This needs a management token in NOMAD_TOKEN") for wrong in ("", "hello", UNKNOWN)],
    ]
    check_each(lab, bad, tmp_path / "state", runs=len(bad))
    assert lab.runbook("check", NOMAD_TLS_SERVER_NAME="server.global.nomad").returncode == 0


@pytest.mark.parametrize("lab", [3], indirect=True)
def test_a_policy_of_its_own_keeps_a_state_snapshot_alone(lab: SecuredLab) -> None:
    """Since 1.11.3, and nothing of the cluster is shown to it."""
    policy = {"Name": "p", "Rules": policy_of("nomad.md")}
    if lab.said(lab.wait_for_leader(), "POST", "/v1/acl/policy/p", policy) is None:
        pytest.skip("this release has no such capability")
    made = lab.ask("POST", "/v1/acl/token", {"Name": "p", "Type": "client", "Policies": ["p"]})
    lab.token = made["SecretID"]
    assert lab.said("s1", "GET", "/v1/operator/snapshot")
    assert lab.said("s1", "GET", "/v1/operator/raft/configuration") is None
