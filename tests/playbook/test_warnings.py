"""What is no error and hardly meant is warned of, and stops nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.command_line import runbook
from tests.playbook.cases import parsed

LINE = """\
runbook: 1
name: x
guards: {{ max_changes: 1 }}
params:
  unit: {{ type: string, default: nomad }}
  count: {{ type: int, default: 3 }}
  wait: {{ type: duration, default: 3s }}
steps:
  - uses: command.run
    with:
      shell: "{line}"
      env: {{ A: "${{{{ params.unit }}}} ${{{{ params.count }}}} ${{{{ params.wait }}}}" }}
"""


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("systemctl restart ${{ params.unit }} | cat", "Write ${{ quote(params.unit) }}."),
        ("echo ${{ run.name + params.unit }}", "Write ${{ quote(run.name + params.unit) }}."),
        ("systemctl restart ${{ quote(params.unit) }} | cat", None),
        ("head -${{ params.count }} /etc/hosts; sleep ${{ params.wait }}", None),
        ("${{ params.unit }}", None),
    ],
)
def test_a_value_inside_a_line_for_the_shell_is_to_be_quoted(line: str, meant: str | None) -> None:
    """Numbers need no quotes, and who gives a whole line means the whole of it."""
    warnings = parsed(LINE.format(line=line)).warnings
    assert [warning.suggestion for warning in warnings] == ([meant] if meant else [])
    assert all(warning.mark.line == 11 and warning.source for warning in warnings)


@pytest.mark.parametrize(
    ("step", "warned"),
    [
        ('command.run, with: { argv: [sh, -c, "echo ${{ params.unit }}"] }', True),
        ('command.run, with: { argv: [sudo, /bin/bash, -ec, "echo ${{ params.unit }}"] }', True),
        ('command.run, with: { argv: [sh, -c, \'echo "$0"\', "${{ params.unit }} x"] }', False),
        ('command.run, with: { argv: [sh, "a ${{ params.unit }}"] }', False),
        ("command.run, with: { argv: [sh, -c] }", False),
        ('command.run, with: { argv: [echo, -c, "a ${{ params.unit }}"] }', False),
        ('ssh.run, with: { host: h, shell: "echo ${{ params.unit }}" }', True),
        ('ssh.run, with: { host: h, shell: "echo ${{ quote(params.unit) }}" }', False),
        ('ssh.run, with: { host: h, argv: [bash, -c, "echo ${{ params.unit }}"] }', True),
        ('ssh.run, with: { host: h, argv: [echo, "a ${{ params.unit }}"] }', False),
    ],
)
def test_whoever_calls_a_shell_is_warned(step: str, warned: bool) -> None:
    """Here or on another host, by its name or as a line."""
    head = (
        "runbook: 1\nname: x\nguards: { max_changes: 1 }\nparams: { unit: { type: string, default: nomad } }\nsteps:\n"
    )
    uses = "" if "params" in step else "  - { uses: log.message, with: { text: '${{ params.unit }}' } }\n"
    warnings = parsed(f"{head}{uses}  - {{ uses: {step} }}\n").warnings
    assert [warning.suggestion for warning in warnings] == (["Write ${{ quote(params.unit) }}."] if warned else [])


def test_a_warning_is_told_and_the_playbook_is_good(tmp_path: Path) -> None:
    """On the screen, and as a warning for code scanning."""
    path = tmp_path / "x.yaml"
    path.write_text(LINE.format(line="systemctl restart ${{ params.unit }} | cat"))
    done = runbook({}, "validate", str(path))
    assert (done.returncode, done.stdout) == (0, "1 good\n")
    assert f"{path}:11:37: warning: a shell reads what stands here" in done.stderr
    assert '"level": "warning"' in runbook({}, "validate", str(path), "--format", "sarif").stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--dry-run", "--yes", "--log-format", "text"], True),
        (["--dry-run", "--yes", "--log-format", "json"], False),
        (["--dry-run", "--yes", "--quiet"], False),
        (["--yes", "--log-format", "text"], False),
    ],
)
def test_a_dry_run_that_a_person_reads_tells_the_warnings_too(tmp_path: Path, words: list[str], told: bool) -> None:
    """Whoever rehearses may never have validated; a real run is no time to read advice, and a log is no place."""
    path = tmp_path / "x.yaml"
    path.write_text(LINE.format(line="echo ${{ params.unit }} | cat"))
    where = {"RUNBOOK_STATE_DIR": str(tmp_path), "NOMAD_ADDR": "http://127.0.0.1:9", "PATH": os.environ["PATH"]}
    done = runbook(where, "execute", str(path), *words)
    assert done.returncode == 0, done.stderr
    assert (f"{path}:11:24: warning: a shell reads what stands here" in done.stderr) == told, done.stderr


def test_a_playbook_without_a_name_has_that_of_its_file(tmp_path: Path) -> None:
    """Where it can be one."""
    text = "runbook: 1\nsteps: [{ uses: log.message, with: { text: x } }]\n"
    for name, code in (("restart-nomad.yaml", 0), ("restart nomad.yaml", 2)):
        (tmp_path / name).write_text(text)
        assert runbook({}, "validate", str(tmp_path / name)).returncode == code
    assert parsed(text).name == "playbook"


@pytest.mark.parametrize(
    ("step", "warned"),
    [
        ("log.message, with: { text: hello }", True),
        ('raft.confirm_recovery, with: { plan: "${{ params.plan }}" }', False),
        ("playbook.run, with: { playbook: recover-lost-quorum }", False),
        ("command.run, with: { argv: [reboot] }", False),
        ("command.run, effect: read, with: { argv: [uptime] }", True),
    ],
)
def test_a_rule_that_holds_for_no_step_is_warned_of(step: str, warned: bool) -> None:
    """Signatures are asked for by whatever changes something, the recovery of a lost quorum, and a playbook within."""
    text = f"""\
runbook: 1
name: x
approve: {{ by: /etc/runbook/allowed_signers }}
guards: {{ max_changes: 1 }}
params: {{ plan: {{ type: map, default: {{}} }} }}
steps:
  - if: params.plan == {{}}
    steps:
      - {{ uses: {step} }}
"""
    warnings = parsed(text).warnings
    assert [warning.mark.line for warning in warnings] == ([3] if warned else [])
