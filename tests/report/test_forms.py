"""A run in Markdown and as JUnit XML: whole, and nothing that others said is taken for a form of its own."""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree as ET

from runbook.lab.simulated import SimulatedLab
from tests.command_line import PLAYBOOK, QUICK, environment, followers, runbook

SAY = """\
runbook: 1
name: say
steps:
  - id: first
    uses: log.message
    with: { text: "a | b <img src=x> [link](http://evil) `code` # no heading www.evil" }
  - id: never
    if: "false"
    uses: log.message
    with: { text: never }
  - id: last
    assert: 1 == 2
    else: it is not
"""


def played(tmp_path: Path) -> None:
    (tmp_path / "say.yaml").write_text(SAY, encoding="utf-8")
    assert runbook(dict(os.environ), "execute", str(tmp_path / "say.yaml")).returncode == 1


def test_markdown_has_the_end_the_steps_and_the_questions(tmp_path: Path) -> None:
    played(tmp_path)
    told = runbook(dict(os.environ), "report", "last", "--format", "markdown").stdout
    assert told.startswith("# say FAILED at step last\n\nit is not\n")
    assert "| never | skipped |" in told
    assert "- [ ] When did it begin? When was it noticed, and how?" in told
    (line,) = (line for line in told.splitlines() if line.startswith("| first | succeeded |"))
    assert r"a \| b \<img src=x\> \[link\](http\://evil) \`code\` \# no heading www\.evil" in line


def test_junit_has_a_case_for_each_step(tmp_path: Path) -> None:
    played(tmp_path)
    suite = ET.fromstring(  # noqa: S314 - our own
        runbook(dict(os.environ), "report", "last", "--format", "junit").stdout.encode()
    )
    assert {key: suite.get(key) for key in ("name", "tests", "failures", "errors", "skipped")} == {
        "name": "say", "tests": "3", "failures": "1", "errors": "0", "skipped": "1"
    }  # fmt: skip
    assert [case.get("name") for case in suite] == ["first", "never", "last"]
    failure = suite[2].find("failure")
    assert failure is not None
    assert (failure.get("type"), failure.get("message")) == ("failed", "it is not")


def test_a_recovery_and_a_refusal_in_both_forms(tmp_path: Path) -> None:
    """To a file, too, which only this user reads."""
    with SimulatedLab(5, gossip_delay=0.3) as lab:
        lab.wait_for_leader()
        dead, frozen, door, *_ = followers(lab)
        lab.kill(dead)
        lab.wait_for_gossip(dead, "failed")
        where = environment(lab, door)
        assert runbook(where, "execute", PLAYBOOK, *QUICK).returncode == 0
        target = tmp_path / "run.md"
        assert runbook(where, "report", "last", "--format", "markdown", "--output", str(target)).returncode == 0
        told = target.read_text(encoding="utf-8")
        assert (f"{dead}.global" in told, target.stat().st_mode & 0o777) == (True, 0o600)
        assert "## Verdicts and what they rest on" in told
        lab.freeze(frozen)
        lab.wait_for_gossip(frozen, "failed")
        assert runbook(where, "execute", PLAYBOOK, *QUICK).returncode == 3
        told = runbook(where, "report", "last", "--format", "markdown").stdout
        assert told.startswith("# remove-dead-peers REFUSED at step dead\n\n1 of 4 voters is neither proven alive")
