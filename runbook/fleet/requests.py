"""What is asked of one cluster of a fleet, and what came of it: names and plain values, which go anywhere as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, field, fields
from typing import Any, TypeVar

from runbook.dataclass import dataclass
from runbook.decode import ODD
from runbook.errors import NotStartedError

NOT_BEGUN = "not begun"
NOT_STARTED = "not started"  # begun here, and kept from its first step by something outside the cluster
INTERRUPTION = "interrupted"
BEGUN = "begun"  # only in the record of a fleet: its end is not known
OUTCOMES = ("completed", "refused", "failed", INTERRUPTION, NOT_STARTED, NOT_BEGUN)
LONGEST = 64 * 1024  # characters of one value: a request may come from elsewhere

T = TypeVar("T", "ClusterRunRequest", "ClusterRunResult")


@dataclass(frozen=True)
class ClusterRunRequest:
    """One run of a fleet, by names alone: whoever does it has the playbook, the inventory and the credentials.

    ``params`` are as they were typed. ``who`` typed the command, and ``agreed`` says how they agreed to the changes
    beforehand; where it is empty nobody did, and the run is refused before its first change. ``digest`` is that of the
    playbook's text that they saw: where it is given, no other text is run.
    """

    fleet: str
    cluster: str
    playbook: str
    params: Mapping[str, str] = field(default_factory=dict)
    who: str = ""
    agreed: str = ""
    dry_run: bool = False
    unattended: bool = False
    digest: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {**asdict(self), "params": dict(self.params)}

    @classmethod
    def from_dict(cls, data: Any) -> ClusterRunRequest:
        """Raises NotStartedError for whatever else came, and repeats nothing of it, as it may hold a secret."""
        return _read(cls, data)


@dataclass(frozen=True)
class ClusterRunResult:
    """What came of it: one of ``OUTCOMES``, the sentence with which the run ended, and what `execute` would exit with.

    ``run`` and ``folder`` are empty where there is no record of a run; the folder is of the machine that did it.
    """

    cluster: str
    outcome: str
    sentence: str
    exit_code: int
    run: str = ""
    folder: str = ""
    seconds: float = 0.0

    @property
    def ended_well(self) -> bool:
        """Also where there was nothing to do."""
        return self.outcome == "completed"

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Any) -> ClusterRunResult:
        """Raises NotStartedError for whatever else came."""
        result = _read(cls, data)
        if result.outcome not in (*OUTCOMES, BEGUN):
            raise NotStartedError("the result of a run of a fleet has an outcome that this version does not know")
        return result


def _read(cls: type[T], data: Any) -> T:
    """The value with these fields, each of its own type, and no others."""
    defaults = {each.name: each.type for each in fields(cls)}
    try:
        value = cls(**data)
        plain = all(_fits(getattr(value, name), str(kind)) for name, kind in defaults.items())
    except ODD:
        plain = False
    if not plain:
        raise NotStartedError(f"this is no {cls.__name__} of this version", "Use one version of runbook everywhere")
    return value


def _fits(value: Any, kind: str) -> bool:
    if kind == "str":
        return isinstance(value, str) and len(value) <= LONGEST
    if kind == "bool":
        return isinstance(value, bool)
    if kind == "int":
        return type(value) is int
    if kind == "float":
        return type(value) in (int, float)
    return isinstance(value, dict) and all(_fits(word, "str") for pair in value.items() for word in pair)
