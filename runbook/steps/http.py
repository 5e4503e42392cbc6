"""``http.request`` and ``notify.webhook``: ask any HTTP API, or tell people where they read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from runbook.errors import unexpected
from runbook.files import replace_file
from runbook.label import Label
from runbook.playbook.diagnostics import describe_value
from runbook.playbook.expressions.model import UNKNOWN
from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.printable import printable
from runbook.steps import command
from runbook.steps.base import Output, Step, StepResult
from runbook.steps.files import writable_path
from runbook.steps.http_by_hand import send_by_hand, tell_by_hand
from runbook.text import NOT_KNOWN, beginning, shown

if TYPE_CHECKING:
    from pathlib import Path

    from runbook.cluster.http import Reply
    from runbook.steps.context import StepContext
    from runbook.steps.exchange import Request

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
MAX_REDIRECTS = 5
MAX_HEADERS = 50
REDIRECT_STATUSES = (301, 302, 303, 307, 308)
LARGEST = 64 * 1024 * 1024  # bytes of a reply that is written to a file
JSON_LEVELS = 60  # levels of a JSON reply: a record of it must be written and read by plain recursion
HIDDEN_HEADERS = ("set-cookie",)  # a secret that nobody named, so no redaction knows its value

HTTP_REQUEST = StepDeclaration(
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
        Field("ca", "path", "a file of certificates to trust instead of SSL_CERT_FILE or the system's own"),
        Field("cert", "path", "a file with the certificate to show; its key is in it, or in key"),
        Field("key", "path", "a file with the key of cert"),
        Field("server_name", "string", "the name that TLS asks for and checks instead of the host's"),
        Field("to", "path", "a file for the body, up to 64 MiB; a relative path is inside the run's files"),
        Field("idempotent", "bool", "whether it may be sent twice: a retry after a time-out needs it", default=False),
    ),
    results=(
        Field("status", "int", "the status of the answer"),
        Field("headers", "map", "its headers, their names in lower case, without set-cookie"),
        Field("body", "string", "its body as text; more than 256 KiB fail the step, and need to"),
        Field("json", "any", "its body as data, or null where it is no JSON or has more than 60 levels"),
        Field(
            "path", "string", "the file that holds its body, where it was written to one; body and json are null then"
        ),
        Field("sha256", "string", "the digest of that file"),
    ),
    observe="Ask the same API with a GET whether what was asked for is there.",
    shadow="It is told what would be sent. With effect: read and --run-reads it is sent, also a POST.",
    parallel=True,
    example="""\
- id: ready
  uses: http.request
  effect: read              # so that execute --dry-run --run-reads asks too
  with:
    url: https://consul.example.org:8501/v1/status/leader
    ca: /etc/ssl/cluster.pem
    timeout: 5s
  retry: { times: 5, wait: 1s..10s, only_on: [timeout, unavailable] }
- uses: log.message
  with: { text: "the leader is ${{ ready.json }}" }
""",
    at_most_one=("body", "json"),
    safe_to_repeat=(("idempotent", (True,)), ("method", ("GET", "HEAD", "OPTIONS"))),
)


def send_request(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """One request, or in a dry run the words for it. Raises StepError."""
    from runbook.steps.exchange import LIMIT, READS, exchange, refuse_status

    if not command.may_run(context, arguments):
        return StepResult(_foretell_request(arguments), {}, Label.UNKNOWN)
    _check_expected(arguments["expect"] or [])
    target = writable_path(context.folder, arguments["to"]) if arguments["to"] else None
    limit = LARGEST if arguments["to"] else LIMIT
    request = _request(arguments, reads=context.reads)
    until = context.clock.monotonic() + context.left(arguments["timeout"])
    reply = exchange(request, context.left(arguments["timeout"]), limit)
    for _ in range(MAX_REDIRECTS if arguments["follow"] and request.method in READS else 0):
        if reply.status not in REDIRECT_STATUSES or "location" not in reply.headers:
            break
        request = _redirected(request, reply.headers["location"])
        reply = exchange(request, context.left(max(0.001, until - context.clock.monotonic())), limit)
    if not _expected(reply.status, arguments["expect"]):
        raise refuse_status(f"{request.method} {request.origin}", reply)
    told = f"{request.method} {request.origin} answered {reply.status}"
    if target is not None:
        return _written(context, told, reply, target)
    return StepResult(told, {**_output(reply), "path": None, "sha256": None}, Label.LIVE)


def _written(context: StepContext, told: str, reply: Reply, target: Path) -> StepResult:
    """The body in a file; in a dry run, which writes none, nowhere."""
    import hashlib

    output = _output(replace(reply, body=b"")) | {"body": None, "json": None}
    size = f"{len(reply.body):,} bytes"
    digest = hashlib.sha256(reply.body).hexdigest()
    if context.dry_run:
        context.files.write(target)
        told = f"{told}, and would write {target}, {size}"
        return StepResult(told, {**output, "path": str(target), "sha256": digest}, Label.LIVE)
    try:
        replace_file(target, reply.body)
    except OSError as error:
        raise unexpected(f"{target}: {error.strerror}", "Check the folder, its rights and its room") from None
    return StepResult(f"{told}: {target}, {size}", {**output, "path": str(target), "sha256": digest})


def _request(arguments: Mapping[str, Any], *, reads: bool) -> Request:
    import json

    from runbook.steps.exchange import Request

    if arguments["body"] is not None and arguments["json"] is not None:
        raise unexpected("body and json cannot both be sent", "Keep one of them")
    headers = {str(name): str(value) for name, value in (arguments["headers"] or {}).items()}
    body = arguments["body"]
    if arguments["json"] is not None:
        import json

        body = json.dumps(arguments["json"])
        if "content-type" not in {name.lower() for name in headers}:
            headers["Content-Type"] = "application/json"
    data = None if body is None else body.encode("utf-8", "replace")
    certificate = (arguments["cert"], arguments["key"] or arguments["cert"]) if arguments["cert"] else None
    tls = {"ca": arguments["ca"], "certificate": certificate, "server_name": arguments["server_name"]}
    return Request(arguments["method"], arguments["url"], headers, data, reads=reads, **tls)


def _redirected(request: Request, location: str) -> Request:
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
    few = list(reply.headers.items())[:MAX_HEADERS]
    headers = {beginning(name, 200): beginning(value, 1000) for name, value in few if name not in HIDDEN_HEADERS}
    return {"status": reply.status, "headers": headers, "body": body, "json": parse_json(body)}


def parse_json(text: str) -> Any:
    """The data that a JSON text holds, or None where it holds none that can be recorded."""
    import json

    def refuse(word: str) -> Any:
        raise ValueError(word)

    try:
        value = json.loads(text, parse_constant=refuse)
        json.dumps(value, allow_nan=False)  # 1e999 is read as infinity
    except (ValueError, RecursionError):
        return None
    return value if _is_shallow(value) else None


def _is_shallow(value: Any) -> bool:
    level = [value]
    for _ in range(JSON_LEVELS):
        level = [item for one in level for item in _items(one)]
        if not level:
            return True
    return False


def _items(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _foretell_request(arguments: Mapping[str, Any]) -> str:
    lines = [f"would send {shown(arguments['method'])} {shown(arguments['url'])}"]
    headers = arguments["headers"]
    if headers is UNKNOWN:
        lines.append(f"headers: {NOT_KNOWN}")
    elif headers is not None:
        lines += [f"{name}: {shown(value)}" for name, value in headers.items()]
    body = arguments["json"] if arguments["json"] is not None else arguments["body"]
    return "\n".join(lines if body is None else [*lines, printable(beginning(shown(body), 2000))])


NOTIFY_WEBHOOK = StepDeclaration(
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
    parallel=True,
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


def post_to_webhook(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """One POST; any 2xx is good. Raises StepError with the host alone, as the rest of the url is a key."""
    import json

    from runbook.steps.exchange import Request, exchange, refuse_status

    way = command.one_given(arguments, "text", "json")
    if context.dry_run:
        said = printable(beginning(shown(arguments[way]), 2000))
        return StepResult(f"would tell {_host_of(arguments['url'])}: {said}", {}, Label.UNKNOWN)
    content = {"text": arguments["text"]} if way == "text" else arguments["json"]
    headers = {"Content-Type": "application/json"}
    request = Request("POST", arguments["url"], headers, json.dumps(content).encode())
    reply = exchange(request, context.left(arguments["timeout"]))
    if not 200 <= reply.status < 300:
        raise refuse_status(f"POST {request.origin}", reply)
    return StepResult(f"told {request.origin}", {"status": reply.status})


def _host_of(url: Any) -> str:
    from urllib.parse import urlsplit

    if url is UNKNOWN:
        return NOT_KNOWN
    try:
        return urlsplit(url).hostname or "?"
    except ValueError:
        return "?"


STEPS = (Step(HTTP_REQUEST, send_request, send_by_hand), Step(NOTIFY_WEBHOOK, post_to_webhook, tell_by_hand))
