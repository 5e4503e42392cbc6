"""Every step type by name: its declaration, from which validation, help and reference come, and its body.

A step's module is loaded when the step is asked for, as start-up is felt; a name that is not ours is looked for among
what other packages offer, and only then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from runbook.playbook.model import StepDeclaration
from runbook.steps.base import Body, ByHand, Step

if TYPE_CHECKING:
    from runbook.steps.extensions import Extension

MODULES = {  # by step type, in the order in which they are shown; each lists its Steps as STEPS
    "raft.snapshot": "raft.snapshot",
    "raft.find_dead": "raft.find_dead",
    "raft.check_quorum": "raft.check_quorum",
    "raft.check_stop": "raft.check_stop",
    "raft.stop_frozen": "raft.stop_frozen",
    "raft.remove_peer": "raft.remove_peer",
    "raft.transfer_leadership": "raft.transfer_leadership",
    "raft.verify": "raft.verify",
    "raft.restore_snapshot": "raft.restore_snapshot",
    "raft.collect_survivors": "raft.collect_survivors",
    "raft.plan_recovery": "raft.plan_recovery",
    "raft.confirm_recovery": "raft.recovery",
    "raft.write_peers": "raft.recovery",
    "raft.verify_recovery": "raft.verify_recovery",
    "raft.force_new_cluster": "raft.new_cluster",
    "raft.join_empty": "raft.new_cluster",
    "raft.add_server": "raft.add_server",
    "host.service": "hosts",
    "host.backup": "hosts",
    "http.request": "http",
    "command.run": "command",
    "ssh.run": "ssh",
    "ssh.copy": "ssh",
    "file.write": "files",
    "file.prune": "files",
    "wait.for": "waiting",
    "wait.until": "waiting",
    "wait.for_port": "waiting",
    "assert": "flow",
    "set": "flow",
    "approve": "flow",
    "notify.webhook": "http",
    "log.message": "flow",
    "playbook.run": "flow",
}
NAMES = frozenset(MODULES)


@cache
def _own_step(name: str) -> Step:
    steps: tuple[Step, ...] = import_module(f"runbook.steps.{MODULES[name]}").STEPS
    return next(step for step in steps if step.declaration.name == name)


def _extension(name: str) -> Extension:
    """Raises KeyError where no package offers a usable step of this name."""
    from runbook.steps.extensions import Extension, one_of

    found = one_of(name, NAMES) if "." in name else None
    if not isinstance(found, Extension):
        raise KeyError(name)
    return found


class Catalog(Mapping[str, StepDeclaration]):
    """The declarations."""

    @property
    def ours(self) -> Mapping[str, StepDeclaration]:
        """All that are not of another package, in the order in which they are shown."""
        return {name: self[name] for name in MODULES}

    def __getitem__(self, name: str) -> StepDeclaration:
        return _own_step(name).declaration if name in MODULES else _extension(name).declaration

    def __iter__(self) -> Iterator[str]:
        """Ours, and every extension that loads: so all of them are loaded."""
        from runbook.steps.extensions import Extension, all_of

        yield from MODULES
        yield from (one.name for one in all_of(NAMES) if isinstance(one, Extension))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def why_not(self, name: str) -> str | None:
        """Why the step of this name, which another package offers, cannot be used."""
        from runbook.steps.extensions import Broken, one_of

        found = one_of(name, NAMES)
        return f"{found.origin} offers it, but {found.reason}" if isinstance(found, Broken) else None


CATALOG = Catalog()


def body_of(name: str) -> Body:
    """What a step of this type does. Raises KeyError where there is none: a playbook is run by the engine itself."""
    body = _own_step(name).body if name in MODULES else _extension(name).body
    if body is None:
        raise KeyError(name)
    return body


def by_hand_of(name: str) -> ByHand:
    """How a person does what a step of this type does. Raises KeyError for a type that there is not."""
    return _own_step(name).by_hand if name in MODULES else _extension(name).by_hand
