"""A machine on which a server is started once by its own command with other settings, and ended again."""

from __future__ import annotations

from collections.abc import Iterable

from runbook.hosts.host import Host
from runbook.hosts.process_command import ProcessCommand, read_process_command
from runbook.hosts.scripts import COMMAND_LINE, MOVE_ASIDE, RUN_ONCE, RUNS_ONCE

ENDING = 40.0  # seconds for a server that was started once to end again


class OnceHost(Host):
    """The door to such a machine. Every method raises :class:`HostError`."""

    def move_aside(self, folder: str, target: str) -> None:
        """Nothing is there afterwards; what was, is under its new name, where no copy of it was before."""
        self._script(MOVE_ASIDE, folder, target, what=f"move {folder} to {target}", changes=True)

    def process_command(self, prefix: str) -> ProcessCommand | None:
        """How the process that has the data folder open was started, with the variables that begin so."""
        holders = self.examine().service.holders
        if not holders:
            return None
        pid = holders[0].partition(" ")[0]
        told = self._script(COMMAND_LINE, pid, prefix, what=f"see how process {pid} was started")
        return read_process_command(told.stdout)

    def run_once(
        self, words: Iterable[str], *, folder: str, like: str, until_said: str, within: float, spare: str
    ) -> None:
        """Start a server as the owner of the file ``like``, and end it once its log says so.

        ``spare`` is a file that is not needed afterwards, or empty.
        """
        arguments = like, until_said, str(round(within)), folder, spare, *words
        self._script(RUN_ONCE, *arguments, what="start it once", seconds=within + ENDING, changes=True)

    def runs_once(self, folder: str) -> bool:
        """Whether a server of this data folder is still being started once, as somebody asked before."""
        return self._script(RUNS_ONCE, folder, what="see what runs there").stdout.strip() == "yes"
