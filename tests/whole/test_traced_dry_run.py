"""A dry run under `strace`: what it sends, starts and writes, as the kernel saw it (I14)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runbook.lab.simulated import SimulatedLab
from tests.command_line import ROOT
from tests.steps.server import serving

STRACE = shutil.which("strace") or ""
pytestmark = pytest.mark.skipif(not STRACE, reason="no strace on PATH")
CALLS = (
    "execve,execveat,connect,sendto,sendmsg,openat,open,creat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat"
)
REQUEST = re.compile(r'send(?:to|msg)\(.*?"([A-Z]+) (/\S*) HTTP/1\.1')
OPENED = re.compile(r'(?:openat|open|creat)\((?:AT_FDCWD, )?"([^"]+)", [^)]*O_(?:WRONLY|RDWR|CREAT)')
MADE = re.compile(r'(?:mkdir|mkdirat|rename|renameat|renameat2|unlink|unlinkat)\((?:AT_FDCWD, |\d+, )?"([^"]+)"')
NOWHERE = ("/dev/null", "/dev/tty")
PLAYBOOK = """\
runbook: 1
name: much
secrets:
  key: env:KEY
  made: exec:{folder}/make-secret
params: {{}}
guards: {{ max_changes: 9 }}
steps:
  - uses: raft.snapshot
    id: before
  - uses: raft.find_dead
    id: dead
    with: {{ confirm_for: 0s, looks: 2 }}
  - uses: raft.check_quorum
    id: quorum
    with: {{ remove: "${{{{ dead.peers }}}}" }}
  - uses: raft.remove_peer
    for_each: quorum.removals
    with: {{ peer: "${{{{ item.id }}}}" }}
  - uses: raft.verify
    with: {{ watch_for: 0s }}
  - uses: command.run
    effect: read
    with: {{ argv: [touch, {folder}/read] }}
  - uses: command.run
    with: {{ argv: [touch, "{folder}/changed"] }}
    undo: {{ show: "rm {folder}/changed" }}
  - uses: ssh.run
    continue_on_failure: true
    with: {{ host: 127.0.0.1, argv: [touch, "{folder}/by-ssh"] }}
    undo: {{ show: "rm {folder}/by-ssh" }}
  - uses: http.request
    effect: read
    with: {{ url: "{url}/read", headers: {{ X-Key: "${{{{ secrets.key }}}}" }} }}
  - uses: notify.webhook
    with: {{ url: "{url}/told", json: {{ made: "${{{{ secrets.made }}}}" }} }}
  - uses: file.write
    with: {{ path: told.txt, content: "read: ${{{{ dead.peers }}}}" }}
"""


@pytest.mark.parametrize("dry", [True, False], ids=["dry run", "real run"])
def test_a_dry_run_changes_nothing_that_the_kernel_sees(tmp_path: Path, dry: bool) -> None:
    """And a real run of the same playbook does: else this test would hold of nothing."""
    with SimulatedLab(5, gossip_delay=0.3) as lab, serving() as server:
        dead = next(name for name in reversed(lab.names) if name != lab.wait_for_leader())
        lab.kill(dead)
        lab.wait_for_gossip(dead, "failed")
        path, state = tmp_path / "much.yaml", tmp_path / "state"
        secret = tmp_path / "make-secret"
        secret.write_text(f"#!/bin/sh\ntouch {tmp_path}/made\necho a secret that is made\n")
        secret.chmod(0o700)
        path.write_text(PLAYBOOK.format(folder=tmp_path, url=server.url), encoding="utf-8")
        door = lab.addresses[lab.names.index(lab.leader() or "")]
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(tmp_path), "TMPDIR": "/nowhere", "NOMAD_ADDR": door,
            "KEY": "a key of the test",
            "RUNBOOK_STATE_DIR": str(state), "PYTHONDONTWRITEBYTECODE": "1",
        }  # fmt: skip
        trace = [STRACE, "-f", "-qq", "-s", "300", "-o", str(tmp_path / "trace"), "-e", f"trace={CALLS}"]
        words = ["execute", str(path), "--yes", *(["--dry-run"] if dry else [])]
        command = [*trace, sys.executable, "-m", "runbook", *words]
        done = subprocess.run(
            command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
        )
        received = [asked.path for asked in server.asked]
    lines = (tmp_path / "trace").read_text(encoding="utf-8", errors="replace").splitlines()
    done_well = [line for line in lines if " = -1 " not in line]
    methods = {found[1] for line in done_well if (found := REQUEST.search(line))}
    started = [line for line in done_well if "execve(" in line]
    assert done.returncode == 0, done.stdout
    (run,) = (state / "runs").iterdir()
    written = {found[1] for line in done_well for found in (*OPENED.finditer(line), *MADE.finditer(line))}
    allowed = (*NOWHERE, str(state), str(run.parent))
    outside = {each for each in written if each not in allowed and not each.startswith(str(run))}
    assert (methods == {"GET"}) is dry, methods
    assert (len(started) == 1) is dry, started
    assert (outside == set()) is dry, outside
    assert (received == []) is dry, received
    assert all((tmp_path / name).exists() is not dry for name in ("read", "made", "changed"))
