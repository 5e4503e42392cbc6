"""Every verb with its arguments and options, as the page docs/command-line.md: ``python -m runbook.cli.reference``."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from runbook.cli.main import main

_HEAD = """\
# The command line

Written by `make docs` from the verbs themselves; `--help` behind a verb tells the same in a terminal. What each is
good for stands in [operating](operating.md) and [in an incident](in-an-incident.md).
"""


def format_commands() -> str:
    """The page, as Markdown."""
    context = click.Context(main, info_name="runbook")
    return "\n".join([_HEAD, *(_format_command(each, command) for each, command in _leaves(main, context))])


def _leaves(group: click.Group, context: click.Context) -> Iterator[tuple[click.Context, click.Command]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None:
            continue
        inner = click.Context(command, info_name=name, parent=context)
        if isinstance(command, click.Group):
            yield from _leaves(command, inner)
        else:
            yield inner, command


def _format_command(context: click.Context, command: click.Command) -> str:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    parts = [f"## {context.command_path.removeprefix('runbook ')}", f"    {usage}", "\n".join(_paragraphs(command))]
    options = [each for each in command.params if isinstance(each, click.Option)]
    if options:
        rows = (f"| `{_cell(_words(each))}` | {_cell(_told(each))} |" for each in options)
        parts.append("\n".join(["| option | |", "|---|---|", *rows]))
    return "\n\n".join(parts) + "\n"


def _words(option: click.Option) -> str:
    """The same for every release of click, as far as this page shows it."""
    choices = option.type.choices if isinstance(option.type, click.Choice) else ()
    value = option.metavar or "|".join(map(str, choices)) or option.type.name.upper()
    return ", ".join(option.opts) + ("" if option.is_flag else f" {value}")


def _told(option: click.Option) -> str:
    return f"{option.help} Default: {option.default}." if option.show_default else option.help or ""


def _paragraphs(command: click.Command) -> Iterator[str]:
    for line in (command.help or "").splitlines():
        yield line.strip()


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(format_commands())
