"""How the families differ on the day quorum is lost: which has a plan, and what is its own in it."""

from __future__ import annotations

from dataclasses import replace

from runbook.raft.diagnosis.diagnose import diagnose
from runbook.raft.lost_quorum import RecoveryEvidence, plan_recovery
from runbook.raft.lost_quorum_text import format_plan
from runbook.raft.removal import Refusal
from tests.raft.test_lost_quorum import DEAD, SURVIVOR, look, planned


def test_no_plan_for_etcd_which_has_another_way() -> None:
    """It is named, with what must be seen first; and a diagnosis sends nobody of etcd to peers.json."""
    looks = [replace(look([SURVIVOR, DEAD, DEAD], at), cluster="etcd:x") for at in (0.0, 15.0, 30.0)]
    made = plan_recovery(RecoveryEvidence(looks))
    assert isinstance(made, Refusal)
    told = " ".join(finding.next_action for finding in diagnose(looks[-1]))
    assert ("peers.json" in told, "runbook recover plan" in told) == (False, True)
    assert (made.code, "--force-new-cluster" in made.next_action) == ("NoRecoveryForProduct", True)


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
