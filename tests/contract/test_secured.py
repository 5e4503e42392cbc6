"""Mutual TLS and access control of Consul: the job with the smallest policy of the page, pasted, and what each bad
credential is called. The others: test_secured_nomad.py, test_secured_etcd.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.secured import BAD_CERTIFICATES, PLAIN, UNKNOWN, SecuredLab, check_each, policy_of

pytestmark = pytest.mark.consul


@pytest.fixture
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SecuredLab]:
    with SecuredLab("consul", getattr(request, "param", 5), tmp_path / "lab") as lab:
        lab.wait_for_leader(60)
        yield lab


def token_with(lab: SecuredLab, rules: str) -> str:
    policy = lab.ask("PUT", "/v1/acl/policy", {"Name": f"p{abs(hash(rules))}", "Rules": rules})
    return str(lab.ask("PUT", "/v1/acl/token", {"Policies": [{"ID": policy["ID"]}]})["SecretID"])


def test_the_smallest_policy_of_the_page_is_enough_and_one_that_only_reads_is_told_at_once(
    lab: SecuredLab, tmp_path: Path
) -> None:
    """The dead one is removed; and without the right for that, the run and its dry run end before anything waits."""
    small, looks = policy_of("consul.md"), policy_of("consul.md", 1)
    reads = token_with(lab, looks)
    killed = lab.follower()
    lab.kill(killed)
    for options in ((), ("--dry-run",)):
        outcome = lab.execute(tmp_path / "reads", *options, credential=reads)
        assert (outcome.code, outcome.asked) == (3, []), outcome.text
        assert "this token has no operator:write, which a removal needs" in outcome.text
        assert not any(
            event["kind"] == "verdict.criteria" for event in outcome.events
        ), "before the dead are looked for"
    checked = lab.runbook("check", credential=reads)
    assert checked.returncode in (0, 1), checked.stdout

    outcome = lab.execute(tmp_path / "removes", credential=token_with(lab, small))
    assert (outcome.code, outcome.asked) == (0, [killed]), outcome.text
    assert "no state snapshot" in outcome.text, "which needs a management token"


@pytest.mark.parametrize("lab", [3], indirect=True)
def test_each_bad_credential_has_its_sentence(lab: SecuredLab, tmp_path: Path) -> None:
    """Nothing else is in the way, as the last one shows."""
    address = lab.layout.address("s1")
    bad = [
        *BAD_CERTIFICATES,
        ({"CONSUL_TLS_SERVER_NAME": "c.example.org"}, "its certificate is not for c.example.org, but for 127.0."),
        (
            {"address": address.replace(f":{lab.layout.http_port}", f":{lab.layout.http_port + PLAIN}")},
            "it speaks plain HTTP",
        ),
        ({"address": address.replace("https://", "http://")}, "Write https:// in CONSUL_HTTP_ADDR"),
        ({"credential": UNKNOWN}, "ACL not found"),
        ({"credential": ""}, "Permission denied"),
    ]
    check_each(lab, bad, tmp_path / "state", runs=2)


@pytest.mark.parametrize("lab", [3], indirect=True)
def test_a_server_whose_certificate_has_expired_is_named_and_never_dead(lab: SecuredLab, tmp_path: Path) -> None:
    """Gossip calls it alive, and neither the leader nor this host can speak to it; with a new one it follows again."""
    late = lab.follower()
    lab.give(late, "late")
    lab.restart(late)
    its_own = lab.layout.address(late)
    lab.until(
        "expiry", lambda: "certificate has expired. Renew that server's" in lab.runbook("check", address=its_own).stdout
    )
    outcome = lab.execute(tmp_path / "state", address=lab.layout.address(lab.wait_for_leader()))
    assert (outcome.code, outcome.asked) == (3, []), outcome.text
    assert "a process runs there and keeps this host out" in outcome.text
    assert "its certificate has expired. Renew that server's" in outcome.text
    assert "frozen" not in outcome.text
    lab.give(late, "server")
    lab.restart(late)
    lab.until("health", lambda: lab.runbook("check").returncode == 0)
