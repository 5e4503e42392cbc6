"""`runbook print --live` against real OpenBao: pasted as it stands, it removes the one that is dead."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.contract.openbao_lab import OpenBaoLab
from tests.contract.test_openbao import command
from tests.contract.test_print import PARAMS, blocks

pytestmark = pytest.mark.bao


@pytest.mark.parametrize("by_curl", [False, True])
def test_what_is_printed_for_openbao_removes_the_dead(tmp_path: Path, by_curl: bool) -> None:
    """By bao, and by curl where there is no bao; each finds done what the other one did."""
    with OpenBaoLab(tmp_path / "lab") as lab:
        leader = lab.wait_for_leader()
        dead = next(name for name in lab.names if name != leader)
        lab.kill(dead)
        words = ("print", "remove-dead-peers", *PARAMS, "--live")
        printed = command(lab, tmp_path, *words, door=leader, token=lab.token)
        assert printed.returncode == 0, printed.stdout + printed.stderr
        path = "/usr/bin:/bin" if by_curl else os.environ["PATH"]
        environment = {"PATH": path, "HOME": str(tmp_path), "BAO_TOKEN": lab.token}
        done = subprocess.run(
            ["/bin/sh"], input="".join(blocks(printed.stdout)), env=environment, cwd=tmp_path, capture_output=True,
            text=True, timeout=300, check=False,
        )  # fmt: skip
        said = done.stdout + done.stderr
        assert re.search(rf"^{dead} is removed$", said, re.MULTILINE), said
        assert "there is a leader, and nobody who was removed is listed" in said, said
        assert (tmp_path / "bao.snap").stat().st_size > 500
        assert dead not in lab.voters()
