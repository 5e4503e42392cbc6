"""How a server's process was started: its program, options, environment and folder, as its host shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from runbook.dataclass import dataclass

PREFIXES = ("arg ", "env ")


@dataclass(frozen=True)
class ProcessCommand:
    """``options`` are without the program's own name; ``environment`` is the part of it that the server reads."""

    program: str
    folder: str
    options: tuple[str, ...]
    environment: Mapping[str, str]

    def record(self) -> dict[str, Any]:
        """As plain data, as a step gives it to later ones."""
        return {**asdict(self), "options": list(self.options)}


def process_command(told: Mapping[str, Any]) -> ProcessCommand:
    """That of such a record."""
    return ProcessCommand(told["program"], told["folder"], tuple(told["options"]), dict(told["environment"]))


def read_process_command(printed: str) -> ProcessCommand | None:
    """What the script COMMAND_LINE prints; None where anything of it cannot be told, as an option has a line break."""
    program, folder, *rest = [*printed.splitlines(), "", ""]
    rest = [line for line in rest if line]
    options = [line.removeprefix("arg ") for line in rest if line.startswith("arg ")]
    environment = dict(line.removeprefix("env ").partition("=")[::2] for line in rest if line.startswith("env "))
    if not program.startswith("/") or not options or not all(line.startswith(PREFIXES) for line in rest):
        return None
    return ProcessCommand(program, folder, tuple(options[1:]), environment)
