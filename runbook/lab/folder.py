"""The one lab of a folder: start it, or find the one that an earlier command started."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runbook.errors import LabError
from runbook.files import make_folder, read_limited
from runbook.lab.agent_layout import AgentKind
from runbook.lab.agents import STATE_FILE, STATE_LIMIT, AgentLab
from runbook.lab.detached import DetachedLab
from runbook.lab.process import LabProcess

Lab = AgentLab | DetachedLab


def start_simulated(
    folder: Path, *, servers: int, raft_protocol: int, gossip_delay: float, http_port: int | None
) -> DetachedLab:
    """``gossip_delay`` in seconds. Raises LabError, with nothing left running."""
    options = {
        "seed": secrets.randbits(32),  # a new cluster has new ids: what was done to another one is not its past
        "servers": servers,
        "raft_protocol": raft_protocol,
        "gossip_delay": gossip_delay,
        "http_port": http_port,
    }
    with _vacant(folder):
        return DetachedLab.start(folder, options)


def start_agents(folder: Path, kind: AgentKind, *, servers: int, http_port: int | None) -> AgentLab:
    """Real servers that have elected a leader. Raises LabError, with nothing left running."""
    with _vacant(folder):
        lab = AgentLab(kind, servers, folder=folder, http_port=http_port)
        lab.start()
        try:
            lab.wait_for_leader()
        except BaseException:
            lab.down()
            raise
        return lab


def find_lab(folder: Path) -> Lab:
    """The lab that lives in this folder. Raises LabError where there is none."""
    lab = _recorded(folder)
    if lab is None:
        raise LabError(f"there is no lab in {folder}; start one with `runbook lab up`")
    if isinstance(lab, DetachedLab) and not lab.lives:
        raise LabError(f"the lab in {folder} died; start another with `runbook lab up`")
    return lab


def take_down(folder: Path) -> bool:
    """End the lab of this folder and leave its logs; False if there was none. Raises LabError, OSError."""
    lab = _recorded(folder)
    if lab is not None:
        lab.down()
    return lab is not None


def _recorded(folder: Path) -> Lab | None:
    """What the folder says was started there, alive or not. Raises LabError."""
    path = folder / STATE_FILE
    try:
        state = json.loads(read_limited(path, STATE_LIMIT))
        if state["kind"] == "simulated":
            return DetachedLab(folder, LabProcess(**state["process"]))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LabError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        pass  # perhaps real agents, whose own reader tells what is wrong
    return AgentLab.load(folder)


@contextmanager
def _vacant(folder: Path) -> Iterator[None]:
    """Make the folder and hold it while a lab is started there. Raises LabError where one is, OSError."""
    make_folder(folder)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LabError(f"another `runbook lab up` is starting a lab in {folder}") from None
        lab = _recorded(folder)
        if isinstance(lab, AgentLab) or (lab and lab.lives):
            told = "`runbook lab status` shows it, `runbook lab down` ends it"
            raise LabError(f"there is a lab in {folder} already: {told}")
        yield
    finally:
        os.close(descriptor)
