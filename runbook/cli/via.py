"""The options with which others do the work: the workers of each region, over a broker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from runbook.dataclass import dataclass

if TYPE_CHECKING:
    from runbook.fleet.post import Post
    from runbook.redaction import Redactor

F = TypeVar("F", bound=Callable[..., Any])
LONGEST_CHECK = 20.0  # seconds: a broker hands on what a killed worker had when no check can be at work any more


@dataclass(frozen=True)
class Via:
    """``broker`` as it was given, and the key that signs orders."""

    broker: str | None
    key: str

    def post(self, environment: Mapping[str, str], redactor: Redactor) -> Post:
        """Raises SettingsError where the extra is missing or there is no broker; the passwords are hidden from now."""
        from runbook.fleet.broker import broker_settings, require_celery

        require_celery()
        settings = broker_settings(environment, self.broker)
        settings.learn_secrets(redactor)
        from runbook.fleet.post import Post

        return Post(settings, self.key)


def via_options(function: F) -> F:
    """By whom it is done."""
    options = (
        click.option("--via", type=click.Choice(["celery"]), help="By the `runbook worker` of each cluster's region."),
        click.option("--broker", metavar="URL", help="Theirs, else RUNBOOK_BROKER; one with a password belongs there."),
        click.option(
            "--signing-key",
            type=click.Path(dir_okay=False),
            envvar="RUNBOOK_SIGNING_KEY",
            metavar="KEY",
            help="Your SSH key, or the public half of one in an agent: sign what is ordered.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def parse_via(via: str | None, broker: str | None, signing_key: str | None, timeout: float = 0.0) -> Via | None:
    """Raises click.UsageError where the words do not go together."""
    if via is None:
        if broker:
            raise click.UsageError("--broker is for --via celery")
        return None
    if timeout > LONGEST_CHECK:
        raise click.UsageError(f"--via celery gives each check {LONGEST_CHECK:g} s at most: --timeout")
    return Via(broker, signing_key or "")


def refuse_via(via: str | None, broker: str | None, _signing_key: str | None) -> None:
    """Where one cluster is meant. Raises click.UsageError."""
    if via or broker:
        raise click.UsageError("--via and --broker are for several clusters: --all or --label")
