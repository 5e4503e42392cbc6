"""A plan is executed once: which run has it is noted before the first change, in a file that is never replaced."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from runbook.errors import RefusedError
from runbook.files import delete_file, file_mode, make_folder, open_regular, read_limited, sync_folder
from runbook.raft.removal import Refusal
from runbook.session.saved_plans import ANEW, OR_ANEW, HeldPlan

FOLDER = "plans"  # in the state folder, with a file for each plan that was executed


def refuse_used_plan(held: HeldPlan, state: Path, now: str, run: str = "") -> None:
    """Unless this ``run`` has it already. Raises RefusedError for one that was executed, or whose time is over."""
    plan, claim = held.plan, _read_claim(_claim_path(held, state))
    if claim is not None and run and claim.get("run") == run:
        return
    if claim is not None:
        before = claim.get("run", "")
        sentence = f"the plan {held.path} was executed before, by {before or 'a run whose name is lost'}"
        resumed = f"Where it stopped, runbook resume {before} goes on; else {OR_ANEW}"
        raise RefusedError(Refusal("PlanExecuted", sentence, resumed if before else ANEW))
    if plan.expired(now):
        sentence = f"the plan {held.path} expired at {plan.expires}, and it is {now[:19]} now"
        raise RefusedError(Refusal("PlanExpired", sentence, ANEW))


def claim_plan(held: HeldPlan, state: Path, now: str, run: str) -> None:
    """This ``run`` executes it, and no other one may from now on. Raises RefusedError."""
    refuse_used_plan(held, state, now, run)
    path = _claim_path(held, state)
    if _read_claim(path) is not None:
        return
    claim = {"run": run, "at": now, "plan": str(held.path), "expires": held.plan.expires}
    try:
        make_folder(path.parent)
        handle = open_regular(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            with os.fdopen(handle, "wb") as file:
                os.fchmod(file.fileno(), file_mode(path.parent))
                file.write(f"{json.dumps(claim)}\n".encode())
                file.flush()
                os.fsync(file.fileno())
            sync_folder(path.parent)
        except OSError:  # nothing was sent, so it uses nothing up
            delete_file(path)
            raise
    except FileExistsError:  # somebody else was faster
        refuse_used_plan(held, state, now, run)
    except OSError as error:
        sentence = f"that the plan is executed cannot be written down: {path}: {error.strerror}"
        raise RefusedError(Refusal("NoClaim", sentence, "Make room, or make it writable")) from None


def _claim_path(held: HeldPlan, state: Path) -> Path:
    return state / FOLDER / f"{held.plan.digest}.json"


def _read_claim(path: Path) -> Mapping[str, str] | None:
    """None where there is none. One that cannot be read was made all the same."""
    found: object = {}
    try:
        found = json.loads(read_limited(path, 64 * 1024))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        pass
    return {str(key): str(word) for key, word in found.items()} if isinstance(found, dict) else {}
