"""What the playbook of an incident runs beside its removals: commands that count, kill a server, fail, or hang."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

WITHIN = Path(__file__).with_name("commands-within.yaml")
PLACES = ("dead", "remove", "verify")  # the steps before which a command may stand
KINDS = ("count", "count", "kill", "kill", "fail", "hang")
SHAPES = ("plain", "plain", "each", "block", "within", "handler")
STATED = ("min_voters", "never_worse")
TIMEOUT = 20.0  # seconds that each may take


@dataclass(frozen=True)
class Command:
    """One step. Each item of a ``for_each`` is a command of its own."""

    name: str
    kind: str
    shape: str
    before: str
    lenient: bool
    tried_again: bool

    @property
    def text(self) -> str:
        """As it stands among the steps of a playbook."""
        if self.shape == "within":
            given = f"{{ kind: {self.kind}, name: {self.name} }}"
            return f"  - id: {self.name}\n    uses: playbook.run\n    with: {{ playbook: {WITHIN}, params: {given} }}\n"
        rounds = self.shape in ("each", "block")
        each, item = ('    for_each: \'["1", "2"]\'\n', '"${{ item }}"') if rounds else ("", '"1"')
        body = (
            f"    uses: command.run\n    with: {{ argv: [{self.kind}, {self.name}, {item}], timeout: {TIMEOUT:g}s }}\n"
        )
        body += "    continue_on_failure: true\n" if self.lenient else ""
        body += "    retry: { times: 2, wait: 1s, only_on: [timeout] }\n" if self.tried_again else ""
        if self.shape != "block":
            return f"  - id: {self.name}\n{each}{body}"
        inner = "".join(f"    {line}\n" for line in f"  - id: in_{self.name}\n{body}".splitlines())
        return f"  - id: {self.name}\n{each}    steps:\n{inner}"


@dataclass(frozen=True)
class PlannedCommands:
    """All of them. ``most`` is how many changes the playbook allows, ``unstated`` are guards that it does not state."""

    commands: tuple[Command, ...]
    most: str
    unstated: tuple[str, ...]

    def params(self, given: Mapping[str, str]) -> dict[str, str]:
        """Those of the incident, as this playbook takes them."""
        return {name: value for name, value in given.items() if name not in self.unstated} | {"max_removals": self.most}

    @property
    def end_well(self) -> bool:
        """Whether each does what a dry run takes it for."""
        return all(command.kind in ("count", "kill") for command in self.commands)

    def within(self, shipped: bytes) -> bytes:
        """The shipped playbook with these commands in it."""
        text = shipped.decode()
        kept = [line for line in text.splitlines() if line.strip().partition(":")[0] not in self.unstated]
        text = "\n".join([*kept, ""])
        for command in self.commands:
            mark = f"  - id: {command.before}\n"
            text = text.replace(mark, command.text + mark, 1) if command.shape != "handler" else text
        handlers = "".join(command.text for command in self.commands if command.shape == "handler")
        return (f"{text}\non_failure:\n{handlers}" if handlers else text).encode()


def draw_commands(chance: Random) -> PlannedCommands | None:
    """Most playbooks run no command."""
    if chance.random() > 0.2:
        return None
    commands = tuple(
        Command(
            name=f"c{number}",
            kind=chance.choice(KINDS),
            shape=chance.choice(SHAPES),
            before=chance.choice(PLACES),
            lenient=chance.random() < 0.4,
            tried_again=chance.random() < 0.5,
        )
        for number in range(chance.choice((1, 1, 2, 2, 3)))
    )
    unstated = tuple(guard for guard in STATED if chance.random() < 0.25)
    return PlannedCommands(commands, chance.choice(("1", "2", "3", "4", "9")), unstated)
