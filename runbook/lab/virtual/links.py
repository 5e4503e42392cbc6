"""What the tool reaches of the simulated cluster, whatever the servers hear of each other."""

from __future__ import annotations

from dataclasses import dataclass, field

from runbook.lab.virtual.approach import HTTP_PORT, Approach


@dataclass
class Links:
    """What the tool's own host cannot reach, by name: nothing passes, replies do not, or the whole host is gone.

    ``paused`` machines are as silent as those that are gone; behind a ``full`` listen queue only the process's own
    ports are. ``rejected`` and ``dropped`` hold the ports that a firewall refuses, or whose packets it drops, by name.
    ``approach`` is what stays so, however well all is.
    """

    approach: Approach
    blocked: set[str] = field(default_factory=set)
    deaf: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    paused: set[str] = field(default_factory=set)
    full: set[str] = field(default_factory=set)
    rejected: dict[str, tuple[int, ...]] = field(default_factory=dict)
    dropped: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def silent(self, name: str) -> bool:
        return name in self.blocked or name in self.gone or name in self.paused

    def open(self, name: str) -> bool:
        return not self.silent(name) and name not in self.deaf

    def rejects(self, name: str, port: int) -> bool:
        private = port == HTTP_PORT and self.approach.is_private(name) and not self.approach.out_of_reach
        return private or port in self.rejected.get(name, ())

    def drops(self, name: str, port: int) -> bool:
        return self.approach.out_of_reach or port in self.dropped.get(name, ())

    def shuts(self, name: str, port: int) -> bool:
        """Whether a firewall stands before this port."""
        return self.rejects(name, port) or self.drops(name, port)
