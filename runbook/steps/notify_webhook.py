"""``notify.webhook``: tell people where they read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runbook.playbook.expressions.model import UNKNOWN
from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.steps.base import StepResult
from runbook.steps.shown import NOT_KNOWN, beginning, clean, shown

if TYPE_CHECKING:
    from runbook.steps.context import StepContext

DECLARATION = StepDeclaration(
    "notify.webhook",
    "Tell somebody by a webhook. It touches no cluster, so it needs no guard; a dry run does not send it.",
    Effect.CHANGE,
    parameters=(
        Field(
            "url", "url", "the webhook, best a secret: whoever has it can write there", required=True, secret_ok=True
        ),
        Field("text", "string", 'what to say; it is sent as {"text": …}, as Slack, Mattermost and Teams take it'),
        Field("json", "any", "data to send instead of text", secret_ok=True),
        Field("timeout", "duration", "how long it may take", default=10.0, min=0.001),
    ),
    results=(Field("status", "int", "the status of the answer"),),
    observe="It cannot be told; a message sent twice is better than one not sent.",
    shadow="Nothing is sent; the host and the message are told.",
    example="""\
- uses: notify.webhook
  with:
    url: https://hooks.example.org/oncall    # better a secret: it is a key to that channel
    text: "${{ run.name }} begins"
  retry: { times: 3, wait: 2s, only_on: [timeout, unavailable] }
""",
    exactly_one=("text", "json"),
    guarded=False,
)


def run(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """One POST; any 2xx is good. Raises StepError with the host alone, as the rest of the url is a key."""
    import json

    from runbook.steps import commands
    from runbook.steps.exchange import Request, exchange, refuse_status

    way = commands.one_of(arguments, "text", "json")
    if context.dry_run:
        said = clean(beginning(shown(arguments[way]), 2000))
        return StepResult(f"would tell {_host(arguments['url'])}: {said}", {})
    content = {"text": arguments["text"]} if way == "text" else arguments["json"]
    headers = {"Content-Type": "application/json"}
    request = Request("POST", arguments["url"], headers, json.dumps(content).encode())
    reply = exchange(request, context.left(arguments["timeout"]))
    if not 200 <= reply.status < 300:
        raise refuse_status(f"POST {request.origin}", reply)
    return StepResult(f"told {request.origin}", {"status": reply.status})


def _host(url: Any) -> str:
    from urllib.parse import urlsplit

    if url is UNKNOWN:
        return NOT_KNOWN
    try:
        return urlsplit(url).hostname or "?"
    except ValueError:
        return "?"
