"""What each declared step does. Apart from the catalogue, so that ``validate`` need not load what only a run needs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from runbook.cluster.port import ClusterError
from runbook.steps import (
    approve,
    assert_that,
    check_quorum,
    command_run,
    file_write,
    find_dead,
    http_request,
    log_message,
    notify_webhook,
    playbook_run,
    remove_peer,
    set_values,
    snapshot,
    ssh_copy,
    ssh_run,
    verify,
    wait_for,
    wait_until,
)
from runbook.steps.base import Context, Output, RefusedError
from runbook.steps.catalog import CATALOG
from runbook.steps.trouble import StepError, unexpected

if TYPE_CHECKING:
    from runbook.steps.extensions import Extension

Body = Callable[[Context, dict[str, Any]], tuple[str, Output]]


class Bodies(dict[str, Body]):
    """Ours by name; that of another package's step is fetched when it is asked for."""

    def __missing__(self, name: str) -> Body:
        from runbook.steps.extensions import Extension, one_of

        found = one_of(name, frozenset(CATALOG.ours))
        if not isinstance(found, Extension):
            raise KeyError(name)
        return lambda context, arguments: _held_to_its_word(found, context, arguments)


def _held_to_its_word(extension: Extension, context: Context, arguments: dict[str, Any]) -> tuple[str, Output]:
    """Whatever another package's step does wrong is told as its own fault."""
    who = f"the step {extension.name} of {extension.origin}"
    try:
        message, output = extension.run(context, arguments)
        json.dumps(output, allow_nan=False)
    except (StepError, ClusterError, RefusedError):
        raise
    except Exception as error:
        raise unexpected(f"{who} broke: {type(error).__name__}: {error}", "Tell those who made it") from error
    if not isinstance(message, str) or not isinstance(output, dict):
        raise unexpected(f"{who} did not return a text and a dict", "Tell those who made it")
    return message, output


BODIES: Mapping[str, Body] = Bodies(
    {
        "raft.snapshot": snapshot.run,
        "raft.find_dead": find_dead.run,
        "raft.check_quorum": check_quorum.run,
        "raft.remove_peer": remove_peer.run,
        "raft.verify": verify.run,
        "http.request": http_request.run,
        "command.run": command_run.run,
        "ssh.run": ssh_run.run,
        "ssh.copy": ssh_copy.run,
        "file.write": file_write.run,
        "wait.for": wait_for.run,
        "wait.until": wait_until.run,
        "assert": assert_that.run,
        "set": set_values.run,
        "approve": approve.run,
        "notify.webhook": notify_webhook.run,
        "log.message": log_message.run,
        "playbook.run": playbook_run.run,
    }
)
