"""``runbook lab``: a cluster to practise on, which outlives the command that started it."""

from __future__ import annotations

import click


@click.group()
def lab() -> None:
    """A cluster on this machine to break and to recover."""
