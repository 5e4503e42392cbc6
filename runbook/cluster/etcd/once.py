"""A member's own command with a few other settings, for one start: by options, or in a copy of its configuration file.

An option counts more than a variable, and beside ``--config-file`` neither counts: the settings go where they are read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from runbook.dataclass import dataclass
from runbook.errors import PlaybookError, unexpected
from runbook.hosts.process_command import ProcessCommand
from runbook.playbook.reader import read_yaml
from runbook.playbook.yaml_tree import plain_data

VARIABLES = "ETCD_"  # what the names of its variables begin with
THERE = "published local member to cluster through raft"  # its log says so, 3.4 to 3.6, as soon as it has a leader
CONFIG_FILE = "config-file"
LOG: Mapping[str, Any] = {"logger": "zap", "log-level": "info", "log-outputs": ["stderr"]}  # so that it is seen there


@dataclass(frozen=True)
class StartedOnce:
    """The words of a command, and the text of the file that it names, if there is one."""

    words: tuple[str, ...]
    config: str | None


def config_file_of(command: ProcessCommand) -> str | None:
    """The file that it reads all its settings from; None where it reads none."""
    return _option(command, CONFIG_FILE) or command.environment.get("ETCD_CONFIG_FILE")


def setting(command: ProcessCommand, config: str | None, name: str) -> str:
    """As it was started; empty where it was not said. Raises StepError for a file that cannot be read."""
    if config is not None:
        return str(_mapping(config).get(name) or "")
    return _option(command, name) or command.environment.get(_variable(name)) or ""


def started_once(command: ProcessCommand, config: str | None, settings: Mapping[str, Any], path: str) -> StartedOnce:
    """The command with these settings. ``path`` is where a changed file will be; ``config`` what the real one holds."""
    if config is not None:
        text = json.dumps({**_mapping(config), **LOG, **settings}, indent=1) + "\n"  # JSON is YAML
        return StartedOnce((command.program, f"--{CONFIG_FILE}={path}"), text)
    variables = [f"{name}={value}" for name, value in command.environment.items()]
    options = [f"--{name}={_as_option(value)}" for name, value in {**LOG, **settings}.items()]
    return StartedOnce(("env", *variables, command.program, *command.options, *options), None)


def _as_option(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else str(value).lower() if isinstance(value, bool) else str(value)


def _option(command: ProcessCommand, name: str) -> str:
    """The last one counts, in either spelling."""
    found = ""
    for word, following in pairwise((*command.options, "")):
        key, equals, value = word.lstrip("-").partition("=")
        if word.startswith("-") and key == name:
            found = value if equals else following
    return found


def _variable(name: str) -> str:
    return VARIABLES + name.upper().replace("-", "_")


def _mapping(config: str) -> dict[str, Any]:
    try:
        root, diagnostics = read_yaml(config.encode(), "its configuration file", "the configuration file of a member")
        diagnostics.raise_if_any()
    except PlaybookError as error:
        what = f"the configuration file of etcd there cannot be read: {error.diagnostics[0].render()}"
        raise unexpected(what.splitlines()[0], "Do it by hand: runbook recover plan has the commands") from None
    told = plain_data(root)
    if not isinstance(told, dict):
        raise unexpected("the configuration file of etcd there is no YAML mapping", "Look at it on that host")
    return told
