"""Every step type declares all that is told of it, its example is a good playbook, and the reference is fresh."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from runbook.cli.catalog import format_reference
from runbook.cli.main import main
from runbook.playbook.model import Playbook, StepDeclaration
from runbook.playbook.parser import parse_playbook
from runbook.playbook.types import convert, describe_field
from runbook.steps.registry import CATALOG, body_of

ROOT = Path(__file__).resolve().parents[2]
STEPS = list(CATALOG.ours.values())
ISSUE = (
    "http.request command.run ssh.run ssh.copy wait.until wait.for assert set approve notify.webhook file.write "
    "file.prune wait.for_port "
    "playbook.run log.message"
)
each_step = pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)


def example_of(step: StepDeclaration) -> Playbook:
    lines = "".join(f"  {line}\n" for line in step.example.splitlines())
    text = f"runbook: 1\nname: example\nsummary: An example.\nguards: {{ max_changes: 1 }}\nsteps:\n{lines}"
    return parse_playbook(text.encode(), f"{step.name}.yaml", CATALOG)


def test_every_step_of_the_language_is_there() -> None:
    assert set(ISSUE.split()) <= set(CATALOG.ours)
    assert all(callable(body_of(name)) for name in CATALOG.ours.keys() - {"playbook.run"})  # that one the engine runs


@each_step
def test_all_that_is_told_of_a_step_is_declared(step: StepDeclaration) -> None:
    assert all((step.summary, step.observe, step.shadow, step.example))
    assert {*step.exactly_one, *step.at_most_one} <= {field.name for field in step.parameters}
    for field in (*step.parameters, *step.results):
        assert field.summary, field.name
        assert describe_field(field)
        assert field.default is None or convert(field, field.default) == field.default


@each_step
def test_its_example_is_good_teaches_and_uses_it(step: StepDeclaration) -> None:
    """An example that does not validate would teach what is wrong."""
    assert step.name in [spec.uses for spec in example_of(step).steps]
    assert "  # " in step.example
    assert not [line for line in step.example.splitlines() if len(line) > 110]


def test_a_secret_may_stand_only_where_nobody_else_reads_it() -> None:
    """I13: never in a process list, a message, a prompt, a file of the run, or a host's name."""
    may = {f"{step.name} {field.name}" for step in STEPS for field in step.parameters if field.secret_ok}
    assert may == {
        "http.request url",
        "http.request headers",
        "http.request body",
        "http.request json",
        "command.run env",
        "command.run input",
        "ssh.run input",
        "notify.webhook url",
        "notify.webhook json",
    }


def test_what_needs_no_guard_is_a_message_or_a_file_and_nothing_else() -> None:
    assert {step.name for step in STEPS if not step.guarded} == {"notify.webhook", "file.write", "file.prune"}


def test_the_reference_is_fresh() -> None:
    """After a change of a declaration: make docs."""
    written = (ROOT / "docs" / "playbook-reference.md").read_text(encoding="utf-8")
    assert written == format_reference(), "docs/playbook-reference.md is stale: run make docs"


@each_step
def test_the_terminal_tells_what_the_reference_tells(step: StepDeclaration) -> None:
    told = CliRunner().invoke(main, ["steps", step.name]).output
    words = [step.summary, step.observe, step.shadow, *(f.summary for f in (*step.parameters, *step.results))]
    assert [word for word in words if word not in told] == []
    assert [line for line in step.example.splitlines() if line not in told] == []


def test_the_list_says_of_each_step_its_effect_and_where_it_comes_from() -> None:
    lines = CliRunner().invoke(main, ["steps"]).output.splitlines()
    assert [line.split()[:3] for line in lines] == [[step.name, step.effect.value, "runbook"] for step in STEPS]


def test_a_misspelt_name_is_told_with_what_was_meant() -> None:
    done = CliRunner().invoke(main, ["steps", "http.requst"])
    assert done.exit_code == 2
    assert 'there is no step http.requst. Did you mean "http.request"?' in done.output


def test_validation_loads_nothing_that_only_a_run_needs() -> None:
    """Start-up is felt at 3 a.m.: no HTTP, no subprocess, no search for extensions unless a name is not ours."""
    script = (
        "import sys, runbook.cli.validate as v; print(list(v.validate_paths([sys.argv[1]]).diagnostics)); "
        "print([m for m in ('requests', 'urllib3', 'subprocess', 'selectors', 'importlib.metadata', 'tenacity', 'rich',"
        " 'structlog', 'runbook.steps.context', 'runbook.cluster.http',"
        " 'runbook.steps.ssh', 'runbook.steps.raft.settling', 'runbook.events') if m in sys.modules])"
    )
    playbook = str(ROOT / "playbooks" / "remove-dead-peers.yaml")
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{script}", playbook],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "[]\n[]\n", done.stderr
