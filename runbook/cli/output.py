"""The one door to stdout and stderr: what passes has no secret in it and nothing that a terminal obeys."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any

from runbook.printable import printable, printable_json, printable_line
from runbook.redaction import Redactor
from runbook.report.stream import Stream, can_rewrite, is_terminal, paint, size_of, wants_colour


class Output:
    """What one command prints. ``redactor`` learns the secrets of a run that begins; it knows those of the clusters."""

    def __init__(self, *, patience: float | None = None) -> None:
        """``patience`` with whoever reads stderr: see :class:`Stream`."""
        self.redactor = Redactor.of(os.environ)
        self.out, self.err = Stream(sys.stdout), Stream(sys.stderr, patience)

    def lines(self, lines: Iterable[str], *, indent: int | None = None, is_json: bool = False) -> bool:
        """Print each on a line of its own. On a terminal it is coloured, and broken between words where an ``indent``
        is given for what follows; but not where each of them is JSON. Returns whether stdout took them.
        """
        if is_json:
            return self.json_text("\n".join(lines))
        shown = [printable_line(self.redactor.hide(line)) for line in lines]
        if indent is not None and can_rewrite(self.out, os.environ):
            from runbook.report.screen import wrap_line

            columns = size_of(self.out).columns - 1
            shown = [part for line in shown for part in wrap_line(line, columns, indent)]
        text = "\n".join([*shown, ""])
        return self.out.say(paint(text) if wants_colour(self.out, os.environ) else text)

    def text(self, text: str) -> bool:
        """Print a text of ours as it is, for another program to read, or for a person. Whether stdout took it."""
        return self.out.write(printable(self.redactor.hide(text)))

    def page(self, text: str) -> None:
        """The same, screen by screen where a person reads it at a terminal."""
        if not (is_terminal(sys.stdin) and self.out.isatty()):
            self.text(text)
            return
        import click

        click.echo_via_pager(printable(self.redactor.hide(text)))

    def json(self, data: Any, indent: int | None = None) -> bool:
        """Print the data on a line of its own, or on several. Returns whether stdout took it."""
        import json

        return self.json_text(json.dumps(self.redactor.hide(data), ensure_ascii=False, indent=indent))

    def json_text(self, text: str) -> bool:
        """Print what is JSON already."""
        return self.out.write(f"{printable_json(self.redactor.hide(text))}\n")

    def note(self, text: str, *, indent: str = "  ") -> None:
        """Say something on stderr. No line but the first begins at the left, so that none is forged, unless all are
        ours.
        """
        self.err.say(printable(self.redactor.hide(text)).replace("\n", f"\n{indent}") + "\n")
