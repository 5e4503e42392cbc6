"""How the families differ on the day quorum is lost: which has a plan, and what is its own in it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from runbook.raft.diagnosis.diagnose import diagnose
from runbook.raft.lost_quorum import RecoveryEvidence, plan_recovery
from runbook.raft.lost_quorum_text import format_plan
from runbook.raft.removal import Refusal
from tests.raft.test_lost_quorum import DEAD, SURVIVOR, look, planned


def test_etcd_begins_a_new_cluster_from_the_furthest_voter_and_empties_the_others() -> None:
    """No file is written, what was not known to be committed is dropped, and a diagnosis sends nobody to a file."""
    said = look([SURVIVOR, SURVIVOR, DEAD, DEAD, DEAD])
    vantages = tuple(replace(v, last_log_term=None, commit_index=None, data_dir=None) for v in said.vantages)
    etcd = replace(said, cluster="etcd:x", vantages=vantages)
    made = planned(etcd)
    lines = format_plan(made)
    (first,), (second,) = made.starts, made.anew
    assert (made.text, made.fingerprint) == ("", f"force-new-cluster: {first.peer.id}, {second.peer.id}")
    assert [lines.count(line) for line in ("ETCD_FORCE_NEW_CLUSTER=true", "ETCD_INITIAL_CLUSTER_STATE=existing")] == [
        1,
        1,
    ]
    told = " ".join(line.removeprefix("# ").strip() for line in lines)
    assert f"MAY BE LOST: what {first.peer.label} holds and does not know to be committed is dropped" in told
    assert "recovery takes all of a log for committed" not in told
    assert f"is emptied {second.peer.label}" in told
    evidence = [line for finding in diagnose(etcd) for line in finding.evidence if "log ends at" in line]
    assert [line for line in evidence if "log ends at index" not in line] == []
    assert len(evidence) == 2
    advice = " ".join(finding.next_action for finding in diagnose(etcd))
    assert ("peers.json" in advice, "runbook recover plan" in advice) == (False, True)


def test_a_learner_of_etcd_begins_no_cluster() -> None:
    """However far its log is; and where nobody else is left, only a snapshot helps."""
    said = replace(look([SURVIVOR, SURVIVOR, DEAD, DEAD, DEAD]), cluster="etcd:x")

    def as_learners(*ids: str | None) -> Any:
        held = said.answering[0].configuration
        assert held is not None
        peers = tuple(replace(peer, voter=peer.id not in ids) for peer in held.peers)
        vantages = tuple(
            replace(v, configuration=replace(held, peers=peers), last_log_index=999 if v.server_id in ids else 1)
            for v in said.vantages
        )
        return replace(said, vantages=vantages)

    furthest, other = said.answering[:2]
    made = planned(as_learners(furthest.server_id))
    assert made.starts[0].peer.id == other.server_id
    looks = [replace(as_learners(furthest.server_id, other.server_id), taken_at=at) for at in (0.0, 15.0, 30.0)]
    refused = plan_recovery(RecoveryEvidence(looks))
    assert isinstance(refused, Refusal)
    assert refused.code == "NoVoterLeft"


def test_no_plan_for_vault_yet_but_the_way() -> None:
    """Its file is read at unseal, and not at the start as elsewhere."""
    looks = [replace(look([SURVIVOR, DEAD, DEAD], at), cluster="vault:x") for at in (0.0, 15.0, 30.0)]
    made = plan_recovery(RecoveryEvidence(looks))
    assert isinstance(made, Refusal)
    assert (made.code, "unseal them" in made.next_action) == ("NoRecoveryForProduct", True)


def test_openbao_is_copied_whole_and_reads_the_file_as_it_is_unsealed() -> None:
    """Its data are beside the Raft folder, it tells the term of no entry, and an id only where it made one itself."""
    said = look([SURVIVOR, SURVIVOR, DEAD, DEAD, DEAD])
    vantages = tuple(
        replace(v, last_log_term=None, commit_index=v.last_log_index, data_dir=None) for v in said.vantages
    )
    made = planned(replace(said, cluster="openbao:x", vantages=vantages))
    lines = format_plan(made)
    assert (made.files.copied, made.files.raft) == ("", "raft")
    assert lines.count('kept="$data"') == 2
    assert sum(line.startswith("bao operator unseal -address=http://10.0.0.") for line in lines) == 2
    assert 'mv "$data" "$data.left-out"' in lines
    told = " ".join(line.removeprefix("# ").strip() for line in lines)
    assert "ends at index" in told
    assert "(term/index)" not in told
    assert "holds nothing beyond what it knew to be committed" not in told, "it shows no more than that"
