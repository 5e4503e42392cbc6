"""``http.request``: ask any HTTP API, or tell it something."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from runbook.playbook.diagnostics import describe_value
from runbook.playbook.expressions.model import UNKNOWN
from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.steps.base import Output, StepResult
from runbook.steps.shown import NOT_KNOWN, beginning, clean, is_known, shown
from runbook.steps.trouble import unexpected

if TYPE_CHECKING:
    from runbook.cluster.http import Reply
    from runbook.steps.context import StepContext
    from runbook.steps.exchange import Request

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
REDIRECTS = 5
HEADERS = 50
MOVED = (301, 302, 303, 307, 308)
DEPTH = 60  # levels of a JSON reply: a record of it must be written and read by plain recursion
UNTOLD = ("set-cookie",)  # a secret that nobody named, so no redaction knows its value

DECLARATION = StepDeclaration(
    "http.request",
    "Send one HTTP request, without a proxy, and keep the answer. A status that is not expected fails the step.",
    Effect.UNKNOWN,
    parameters=(
        Field(
            "url",
            "url",
            "where to: http:// or https://, without a user or password in it",
            required=True,
            secret_ok=True,
        ),
        Field("method", "enum", "the HTTP method", default="GET", choices=METHODS),
        Field("headers", "map", "headers by name", secret_ok=True),
        Field("body", "string", "what to send, as it is", secret_ok=True),
        Field("json", "any", "data to send as JSON, instead of body", secret_ok=True),
        Field("expect", "list", "the statuses that are good; every 2xx where nothing is said"),
        Field("timeout", "duration", "how long the whole exchange may take", default=10.0, min=0.001),
        Field("follow", "bool", "follow 5 redirects of a GET or HEAD; no header goes elsewhere", default=False),
        Field("ca", "path", "a file of certificates to trust instead of the machine's own"),
    ),
    results=(
        Field("status", "int", "the status of the answer"),
        Field("headers", "map", "its headers, their names in lower case, without set-cookie"),
        Field("body", "string", "its body as text; more than 256 KiB fail the step"),
        Field("json", "any", "its body as data, or null where it is no JSON or has more than 60 levels"),
    ),
    observe="Ask the same API with a GET whether what was asked for is there.",
    shadow="A GET or HEAD with effect: read is sent; of everything else it is told what would be sent.",
    example="""\
- id: ready
  uses: http.request
  effect: read              # so that a dry run asks too
  with:
    url: https://consul.example.org:8501/v1/status/leader
    ca: /etc/ssl/cluster.pem
    timeout: 5s
  retry: { times: 5, wait: 1s..10s, only_on: [timeout, unavailable] }
- uses: log.message
  with: { text: "the leader is ${{ ready.json }}" }
""",
    at_most_one=("body", "json"),
)


def run(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """One request, or in a dry run the words for it. Raises StepError."""
    from runbook.steps.exchange import READS, exchange, refuse_status

    may = not context.dry_run or (context.reads and is_known(arguments) and arguments["method"] in READS)
    if not may:
        return StepResult(_foretold(arguments), {})
    _check_expected(arguments["expect"] or [])
    request = _request(arguments)
    until = context.clock.monotonic() + context.left(arguments["timeout"])
    reply = exchange(request, context.left(arguments["timeout"]))
    for _ in range(REDIRECTS if arguments["follow"] and request.method in READS else 0):
        if reply.status not in MOVED or "location" not in reply.headers:
            break
        request = _moved(request, reply.headers["location"])
        reply = exchange(request, context.left(max(0.001, until - context.clock.monotonic())))
    if not _expected(reply.status, arguments["expect"]):
        raise refuse_status(f"{request.method} {request.origin}", reply)
    return StepResult(f"{request.method} {request.origin} answered {reply.status}", _output(reply))


def _request(arguments: Mapping[str, Any]) -> Request:
    import json

    from runbook.steps.exchange import Request

    if arguments["body"] is not None and arguments["json"] is not None:
        raise unexpected("body and json cannot both be sent", "Keep one of them")
    headers = {str(name): str(value) for name, value in (arguments["headers"] or {}).items()}
    body = arguments["body"]
    if arguments["json"] is not None:
        body = json.dumps(arguments["json"])
        if "content-type" not in {name.lower() for name in headers}:
            headers["Content-Type"] = "application/json"
    data = None if body is None else body.encode("utf-8", "replace")
    return Request(arguments["method"], arguments["url"], headers, data, arguments["ca"])


def _moved(request: Request, location: str) -> Request:
    """The next hop. To another origin no header goes, as one may be a secret; from https never to http."""
    from urllib.parse import urljoin

    try:
        target = replace(request, url=urljoin(request.url, location), body=None)
        scheme, same = target.origin.partition(":")[0], target.origin == request.origin
    except ValueError:
        raise unexpected(f"{request.origin} redirects to what is no URL") from None
    if scheme not in ("http", "https") or (request.origin.startswith("https:") and scheme == "http"):
        raise unexpected(f"{request.origin} redirects to {scheme}:, which is not followed")
    return target if same else replace(target, headers={})


def _check_expected(wanted: list[Any]) -> None:
    odd = next((item for item in wanted if type(item) is not int or not 100 <= item <= 599), None)
    if odd is not None:
        raise unexpected(
            f"expect holds {describe_value(odd)}, which is no HTTP status", "Write it as in expect: [200, 404]"
        )


def _expected(status: int, wanted: list[Any] | None) -> bool:
    return 200 <= status < 300 if wanted is None else status in wanted


def _output(reply: Reply) -> Output:
    body = reply.body.decode("utf-8", "replace")
    few = list(reply.headers.items())[:HEADERS]
    headers = {beginning(name, 200): beginning(value, 1000) for name, value in few if name not in UNTOLD}
    return {"status": reply.status, "headers": headers, "body": body, "json": parsed(body)}


def parsed(text: str) -> Any:
    """The data that a JSON text holds, or None where it holds none that can be recorded."""
    import json

    def refuse(word: str) -> Any:
        raise ValueError(word)

    try:
        value = json.loads(text, parse_constant=refuse)
        json.dumps(value, allow_nan=False)  # 1e999 is read as infinity
    except (ValueError, RecursionError):
        return None
    return value if _levels(value) else None


def _levels(value: Any) -> bool:
    level = [value]
    for _ in range(DEPTH):
        level = [item for one in level for item in _items(one)]
        if not level:
            return True
    return False


def _items(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _foretold(arguments: Mapping[str, Any]) -> str:
    lines = [f"would send {shown(arguments['method'])} {shown(arguments['url'])}"]
    headers = arguments["headers"]
    if headers is UNKNOWN:
        lines.append(f"headers: {NOT_KNOWN}")
    elif headers is not None:
        lines += [f"{name}: {shown(value)}" for name, value in headers.items()]
    body = arguments["json"] if arguments["json"] is not None else arguments["body"]
    return "\n".join(lines if body is None else [*lines, clean(beginning(shown(body), 2000))])
