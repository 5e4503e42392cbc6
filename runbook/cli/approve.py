"""``runbook approve``: what is signed is shown, asked for, and put beside the file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from runbook.approvals import NAME
from runbook.cli.output import Output
from runbook.cli.terminal import Person, Terminal
from runbook.clock import SystemClock
from runbook.engine.services import AGREE_WITHIN
from runbook.errors import RefusedError, SettingsError
from runbook.exit_codes import RECOVERED
from runbook.files import read_limited, replace_file
from runbook.raft.removal import Refusal
from runbook.saved_plan import is_plan
from runbook.session.open_run import user_name
from runbook.signatures import sign_approval

LARGEST = 16 * 1024 * 1024  # bytes of a plan; nobody reads more
SHOWN = 200  # lines


def _what_is_signed(path: Path, data: bytes) -> tuple[list[str], str]:
    """What a person reads of it, and the digest (hex). Raises NotStartedError for a plan that is not as it was made."""
    if not is_plan(data):
        return data.decode("utf-8", "replace").splitlines(), hashlib.sha256(data).hexdigest()
    from runbook.report.plan import format_plan
    from runbook.session.saved_plans import load_plan

    plan, now = load_plan(path).plan, SystemClock().now()
    if plan.expired(now):
        raise RefusedError(Refusal("PlanExpired", f"{path} expired at {plan.expires}", "Have a new plan made"))
    return format_plan(plan, now), plan.digest


def approve_file(
    given: str, key: str | None, name: str | None, terminal: Terminal, environment: Mapping[str, str]
) -> int:
    """Sign its digest and give the exit code. Raises SettingsError, RefusedError, StepError or OSError."""
    output, who = Output(), user_name(environment)
    path, name = Path(given).absolute(), name or who.partition("@")[0]
    if not NAME.fullmatch(name):
        raise SettingsError(f"{name} cannot be in the name of a file", "Give letters, digits and . _ @ + - : --as NAME")
    try:
        data = read_limited(path, LARGEST)
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be read: {error.strerror}", "Name the plan that is to be approved"
        ) from None
    if len(data) > LARGEST:
        raise SettingsError(f"{path} has more than {LARGEST // 1024**2} MiB", "Name the plan that is to be approved")
    lines, digest = _what_is_signed(path, data)
    more = [f"… and {len(lines) - SHOWN} lines more: read them in the file before you agree"]
    output.note("\n".join(["runbook: this is to be signed:", *lines[:SHOWN], *(more if len(lines) > SHOWN else [])]))
    output.note(f"runbook: that is {path}, SHA-256 {digest}")
    if Person(who, terminal, output).approve(f"Sign it as {name}?", AGREE_WITHIN) is None:
        refusal = Refusal("NotApproved", f"nobody agreed to sign {path}", "Run it at a terminal, or with --yes")
        raise RefusedError(refusal)
    now = datetime.fromisoformat(SystemClock().now())
    signed = path.with_name(f"{path.name}.sig.{name}")
    home = Path(environment.get("HOME", "/nonexistent"))
    try:
        replace_file(signed, sign_approval(digest, now, key, home))
    except OSError as error:
        advice = "Sign where you may write, and have it put there"
        raise SettingsError(f"{signed} cannot be written: {error.strerror}", advice) from None
    output.lines([str(signed)])
    return RECOVERED
