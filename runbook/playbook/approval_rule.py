"""Whose signatures a run needs, as a playbook or a cluster of an inventory says it under ``approve:``."""

from __future__ import annotations

from runbook.dataclass import dataclass

DAY = 86400.0  # seconds


@dataclass(frozen=True)
class ApprovalRule:
    """``by`` is the absolute path of the allowed signers, ``count`` how many people must sign, ``not_self`` whether
    whoever runs it does not count, ``within`` how many seconds old a signature may be.
    """

    by: str
    count: int = 1
    not_self: bool = True
    within: float = DAY
