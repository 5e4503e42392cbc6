"""``runbook completion``: the names of playbooks, runs, steps, clusters and lab servers at the press of a key."""

from __future__ import annotations

import os
from collections.abc import Iterable

import click

MOST = 200  # of runs, the newest


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that completes words in a SHELL.

    For bash: runbook completion bash > ~/.local/share/bash-completion/completions/runbook
    """
    from click.shell_completion import get_completion_class

    from runbook.cli.output import Output

    made = get_completion_class(shell)
    if made is not None:
        Output().text(made(context.find_root().command, {}, "runbook", "_RUNBOOK_COMPLETE").source())


def names_of(kind: str) -> Iterable[str]:
    """All of this kind; none where they cannot be read, as nobody reads an error there."""
    from runbook.errors import RunbookError

    try:
        return _NAMES[kind]()
    except (RunbookError, OSError):
        return ()


def _playbooks() -> Iterable[str]:
    from runbook.shipped_playbooks import shipped_names

    return shipped_names()


def _scenarios() -> Iterable[str]:
    from runbook.shipped_playbooks import SCENARIOS, shipped_names

    return shipped_names(SCENARIOS)


def _pages() -> Iterable[str]:
    from runbook.shipped_pages import page_names

    return page_names()


def _steps() -> Iterable[str]:
    from runbook.steps.registry import MODULES

    return MODULES


def _runs() -> Iterable[str]:
    from runbook.session.run_folders import run_folders, state_folder

    return ("last", *(folder.name for folder in reversed(run_folders(state_folder(os.environ))[-MOST:])))


def _clusters() -> Iterable[str]:
    from runbook.cluster.inventory.locate import find_inventory, read_inventory

    return [cluster.name for cluster in read_inventory(find_inventory(None, os.environ)).clusters]


def _servers() -> Iterable[str]:
    from runbook.lab.folder import find_lab
    from runbook.session.run_folders import state_folder

    return [row.name for row in find_lab(state_folder(os.environ) / "lab").status()]


_NAMES = {
    "playbook": _playbooks,
    "scenario": _scenarios,
    "page": _pages,
    "step": _steps,
    "run": _runs,
    "cluster": _clusters,
    "server": _servers,
}
