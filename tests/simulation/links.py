"""What the tool reaches of the simulated cluster, whatever the servers hear of each other."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Links:
    """What the tool's own host cannot reach, by name: nothing passes, replies do not, or the whole host is gone.

    ``paused`` machines are as silent as those that are gone; behind a ``full`` listen queue only the process's own
    ports are.
    """

    blocked: set[str] = field(default_factory=set)
    deaf: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    paused: set[str] = field(default_factory=set)
    full: set[str] = field(default_factory=set)

    def silent(self, name: str) -> bool:
        return name in self.blocked or name in self.gone or name in self.paused

    def open(self, name: str) -> bool:
        return not self.silent(name) and name not in self.deaf
