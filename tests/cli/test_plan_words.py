"""What is typed beside a plan, or holds a secret, as a person types it, on a simulated Nomad."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from runbook.lab.simulated import SimulatedLab
from tests.command_line import environment, runbook


@pytest.fixture
def lab() -> Iterator[SimulatedLab]:
    with SimulatedLab(3, gossip_delay=0.3) as lab:
        lab.wait_for_leader()
        yield lab


SECRET = """\
runbook: 1
name: secret
secrets: { key: "env:KEY" }
params: { loose: { type: string } }
guards: { max_changes: 1 }
steps:
  - uses: command.run
    with: { argv: ["true", "${{ params.loose }}"], env: { KEY: "${{ secrets.key }}" } }
"""


def test_no_plan_keeps_a_secret(lab: SimulatedLab, tmp_path: Path) -> None:
    """One that was given as a param could not be read back."""
    (playbook := tmp_path / "secret.yaml").write_text(SECRET, encoding="utf-8")
    env = environment(lab, lab.names[0], KEY="c4nary-c4nary")
    for value, code in (("c4nary-c4nary", 2), ("loose", 0)):
        target = tmp_path / f"{code}.json"
        done = runbook(env, "plan", str(playbook), "--param", f"loose={value}", "-o", str(target))
        assert (done.returncode, target.exists()) == (code, code == 0), done.stdout + done.stderr
        assert "c4nary" not in done.stdout + done.stderr
    assert "c4nary" not in target.read_text(encoding="utf-8")
    done = runbook(env, "execute", "--plan", str(target), "--param", "loose=c4nary-c4nary")
    assert (done.returncode, "param loose is (secret) now and loose in the plan" in done.stderr) == (
        3,
        True,
    ), done.stderr


ACT = """\
runbook: 1
name: act
guards: {{ max_changes: 1 }}
steps:
  - uses: command.run
    effect: read
    with: {{ argv: [cat, "{0}/there"] }}
  - id: act
    uses: command.run
    with: {{ argv: [touch, "{0}/acted"] }}
"""


@dataclass(frozen=True)
class Signed:
    """A cluster that asks for signatures, which nobody gives, and the words by which it is meant."""

    lab: SimulatedLab
    folder: Path
    playbook: str
    words: tuple[str, ...]
    other: tuple[str, ...]

    def refused(self, *words: str, code: int = 3) -> str:
        """Whatever is typed, nothing is done. What it says."""
        done = runbook(environment(self.lab, self.lab.names[0]), *words)
        assert (done.returncode, (self.folder / "acted").exists()) == (code, False), done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def signed(lab: SimulatedLab, tmp_path: Path) -> Signed:
    (tmp_path / "there").touch()
    (playbook := tmp_path / "act.yaml").write_text(ACT.format(tmp_path), encoding="utf-8")
    (signers := tmp_path / "signers").write_text("", encoding="utf-8")
    entry = {"kind": "nomad", "addresses": dict(zip(lab.names, lab.addresses, strict=True))}
    words = []
    for name, more in (("asks", {"approve": {"by": str(signers)}}), ("free", {})):
        path = tmp_path / f"{name}.yaml"
        path.write_text(json.dumps({"inventory": 1, "clusters": {name: {**entry, **more}}}), encoding="utf-8")
        words.append(("--cluster", name, "--inventory", str(path)))
    return Signed(lab, tmp_path, str(playbook), words[0], words[1])


def test_a_plan_for_a_cluster_of_the_inventory_is_executed_on_that_alone(signed: Signed) -> None:
    """Else another word beside it would lead around the signatures that this cluster asks for."""
    target = str(signed.folder / "plan.json")
    env = environment(signed.lab, signed.lab.names[0])
    made = runbook(env, "plan", signed.playbook, *signed.words, "-o", target)
    assert made.returncode == 0, made.stdout + made.stderr
    for words in ((), signed.words, ("--kind", "nomad")):
        assert "0 of 1 person has signed" in signed.refused("execute", "--plan", target, "--yes", *words)
    told = signed.refused("execute", "--plan", target, "--yes", *signed.other)
    assert "the plan was made for nomad:asks, and nomad:free is named now" in told


def test_a_run_on_a_cluster_of_the_inventory_is_resumed_on_that_alone(signed: Signed) -> None:
    (signed.folder / "there").unlink()
    signed.refused("execute", signed.playbook, "--yes", *signed.words, code=1)
    (signed.folder / "there").touch()
    told = signed.refused("resume", "last", "--yes", *signed.other, code=2)
    assert "the run began on nomad:asks, and nomad:free is named now" in told
    assert "must be signed by 1 person" in signed.refused("resume", "last", "--yes", "--kind", "nomad")


OUTER = """\
runbook: 1
name: outer
guards: { max_changes: 1 }
steps:
  - uses: playbook.run
    with: { playbook: act.yaml }
"""


def test_what_is_to_be_typed_for_signatures_is_told_as_it_works(signed: Signed) -> None:
    """A playbook by its path, also one within it that alone asks for them."""
    asks = f"approve: {{ by: {signed.folder / 'signers'} }}\n"
    inner, outer = Path(signed.playbook), signed.folder / "outer.yaml"
    inner.write_text(inner.read_text(encoding="utf-8").replace("steps:\n", f"{asks}steps:\n"), encoding="utf-8")
    outer.write_text(OUTER, encoding="utf-8")
    told = signed.refused("execute", str(outer), "--yes", *signed.other)
    assert f"runbook plan {outer} --cluster free -o plan.json; have them run runbook approve plan.json" in told
    target = signed.folder / "plan.json"
    told = signed.refused("plan", str(outer), *signed.other, "-o", str(target), code=0)
    assert f"Next: runbook approve {target}, by those who must sign it; then runbook execute --plan" in told
