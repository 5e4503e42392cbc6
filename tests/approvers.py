"""People with real SSH keys, and the file that says who they are."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path

from runbook.approvals import Executors, Signature
from runbook.playbook.approval_rule import ApprovalRule
from runbook.raft.removal import Refusal
from runbook.signatures import ApprovalDesk, sign_approval

NOBODY = Executors()


@dataclass(frozen=True)
class Signer:
    """``key`` is the file of the private key."""

    name: str
    key: Path

    @property
    def public(self) -> str:
        return self.key.with_suffix(".pub").read_text(encoding="utf-8").strip()

    def sign(self, path: Path, *, at: datetime | None = None, of: bytes | None = None) -> Path:
        """As ``runbook approve`` does; ``of`` other bytes, ``at`` another moment than now."""
        digest = sha256(path.read_bytes() if of is None else of).hexdigest()
        signed = path.with_name(f"{path.name}.sig.{self.name.partition('@')[0]}")
        signed.write_bytes(sign_approval(digest, at or datetime.now(timezone.utc), str(self.key), Path("/nonexistent")))
        return signed


def signer(folder: Path, name: str) -> Signer:
    key = folder / name.partition("@")[0]
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key], check=True, timeout=20)
    return Signer(name, key)


def allowed_signers(folder: Path, *signers: Signer, lines: str = "") -> Path:
    path = folder / "allowed_signers"
    path.write_text("".join(f"{one.name} {one.public}\n" for one in signers) + lines, encoding="utf-8")
    path.chmod(0o644)
    return path


def fingerprint_of(one: Signer) -> str:
    shown = subprocess.run(["ssh-keygen", "-l", "-f", one.key], capture_output=True, text=True, check=True, timeout=20)
    return shown.stdout.split()[1]


@dataclass(frozen=True)
class Desk:
    """A plan, two people who may approve it, and one who may not."""

    folder: Path
    ann: Signer
    bob: Signer
    eve: Signer

    @property
    def plan(self) -> Path:
        return self.folder / "plan.json"

    def beside(self, name: str) -> Path:
        return self.folder / f"plan.json.sig.{name}"

    def judge(
        self, *, count: int = 1, executors: Executors = NOBODY, within: float = 60.0, lines: str | None = None
    ) -> tuple[Signature, ...] | Refusal:
        signers = allowed_signers(self.folder, self.ann, self.bob) if lines is None else self.folder / "others"
        if lines is not None:
            signers.write_text(lines, encoding="utf-8")
        rule = ApprovalRule(str(signers), count, within=within)
        digest = sha256(self.plan.read_bytes()).hexdigest()
        return ApprovalDesk().judge([rule], self.plan, digest, executors, datetime.now(timezone.utc))

    def code(self, **more: object) -> str:
        judged = self.judge(**more)  # type: ignore[arg-type]
        return judged.code if isinstance(judged, Refusal) else "agreed: " + ", ".join(map(str, judged))


def open_desk(folder: Path) -> Desk:
    (folder / "plan.json").write_text("a plan\n", encoding="utf-8")
    return Desk(folder, *(signer(folder, f"{name}@example.org") for name in ("ann", "bob", "eve")))
