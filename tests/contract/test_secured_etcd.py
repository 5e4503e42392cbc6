"""Mutual TLS and users of etcd: the job with the role root; who has it not is told at once, and what is wrong with each
bad credential.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.secured import BAD_CERTIFICATES, SecuredLab, check_each

pytestmark = pytest.mark.etcd
FINAL = ("--param", "confirm_final_for=4s")
ROOT_USER, READER = "root:root-secret", "reader:reader-secret"


@pytest.fixture
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SecuredLab]:
    with SecuredLab("etcd", getattr(request, "param", 5), tmp_path / "lab") as lab:
        lab.wait_for_leader(60)
        for path, body in [
            ("user/add", {"name": "root", "password": "root-secret"}),
            ("user/add", {"name": "reader", "password": "reader-secret"}),
            ("role/add", {"name": "root"}),
            ("user/grant", {"user": "root", "role": "root"}),
            ("enable", {}),
        ]:
            lab.ask("POST", f"/v3/auth/{path}", body)
        lab.credential = ROOT_USER
        yield lab


def test_the_role_root_removes_and_who_has_it_not_is_told_at_once(lab: SecuredLab, tmp_path: Path) -> None:
    """Looking needs no role; a removal and a snapshot do."""
    killed = lab.follower()
    lab.kill(killed)
    for credential, options, said in [
        (READER, FINAL, "the user reader has not the role root, which a removal needs"),
        ("", (*FINAL, "--dry-run"), "no user is given, and a removal needs one with the role root"),
    ]:
        outcome = lab.execute(tmp_path / "reads", *options, credential=credential)
        assert (outcome.code, outcome.asked) == (3, []), outcome.text
        assert said in outcome.text
    checked = lab.runbook("check", credential=READER)
    assert checked.returncode in (0, 1), checked.stdout

    outcome = lab.execute(tmp_path / "removes", *FINAL)
    assert (outcome.code, outcome.asked) == (0, [killed]), outcome.text
    assert "no state snapshot" not in outcome.text
    assert "root-secret" not in outcome.text


@pytest.mark.parametrize("lab", [3], indirect=True)
def test_each_bad_credential_has_its_sentence(lab: SecuredLab, tmp_path: Path) -> None:
    """And once authentication is off again, a user who is still given is in nobody's way."""
    bad = [
        *BAD_CERTIFICATES,
        ({"certificate": "named.pem", "key": "named.key"}, "Give a client certificate without a common name"),
        ({"address": lab.layout.address("s1").replace("https://", "http://")}, "write https:// if it speaks TLS"),
        ({"credential": "root:wrong-secret"}, "authentication failed, invalid user ID or password"),
    ]
    check_each(lab, bad, tmp_path / "state", runs=1)
    lab.token = lab.ask("POST", "/v3/auth/authenticate", {"name": "root", "password": "root-secret"})["token"]
    lab.ask("POST", "/v3/auth/disable", {})
    assert lab.runbook("check").returncode == 0
