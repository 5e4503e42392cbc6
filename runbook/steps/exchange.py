"""One HTTP exchange for a step, through the door: what leaves is checked first, and a failure tells no secret."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from runbook.cluster.access import system_authorities
from runbook.cluster.http import HttpClient, HttpSettings, Reply
from runbook.dataclass import dataclass
from runbook.doors import check_foreign
from runbook.errors import ClusterError, ErrorKind, NoAnswerError, StepError, unexpected

LIMIT = (
    256 * 1024
)  # bytes of a reply: as a line of the journal they may be six times as many, and for_each adds them up
READS = ("GET", "HEAD")
FOR_NOW = (429, 502, 503, 504)  # statuses that pass by themselves
BY_A_PROXY = (502, 504)  # it had no answer itself: whoever is behind it may be at work on the request
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


@dataclass(frozen=True)
class Request:
    """``ca`` is a file of certificates to trust instead of the machine's own, ``certificate`` the files of one to show
    and of its key; ``server_name`` is asked for and checked instead of the URL's host. ``reads``: whatever its method,
    it changes nothing.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = None
    ca: str | None = None
    certificate: tuple[str, str] | None = None
    server_name: str | None = None
    reads: bool = False

    @property
    def origin(self) -> str:
        """Scheme, host and port: the part of a URL that is fit to be told."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def path(self) -> str:
        """What follows the origin, without the fragment, which is never sent."""
        rest = self.url[len(self.origin) :].partition("#")[0]
        return rest if rest.startswith("/") else f"/{rest}"


def exchange(request: Request, seconds: float, limit: int = LIMIT) -> Reply:
    """Sent once. Raises StepError with the origin alone, as a path or a query may be a secret."""
    _check(request)
    check_foreign(f"{request.method} {request.origin}", reads=request.reads)
    settings = HttpSettings(
        plain=request.headers,
        verify=request.ca or system_authorities(),
        certificate=request.certificate,
        server_name=request.server_name,
    )
    client = HttpClient(request.origin, settings)
    place = f"{request.method} {request.origin}"
    try:
        changes = False if request.reads else None
        return client.ask(
            request.method, request.path, timeout=seconds, limit=limit, body=request.body, changes=changes
        )
    except NoAnswerError as error:
        words = error.sentence.removeprefix(f"{place}{request.path}: ")
        raise _failed(place, request, words, error) from None
    except ClusterError:
        hint = "Ask for less, or write it to a file with to"
        raise unexpected(f"{place} answered with more than {limit // 1024} KiB", hint) from None


def _failed(place: str, request: Request, words: str, error: NoAnswerError) -> StepError:
    if error.kind is ErrorKind.UNREACHABLE:
        return StepError(ErrorKind.UNAVAILABLE, f"{place}: {words}", error.next_action)
    fate = "" if request.reads or request.method in READS else "; it may have been received"
    return StepError(ErrorKind.TIMEOUT, f"{place}: {words}{fate}", error.next_action)


def refuse_status(place: str, reply: Reply) -> StepError:
    """The failure that a status nobody expected is."""
    kind = ErrorKind.UNAVAILABLE if reply.status in FOR_NOW else ErrorKind.UNEXPECTED
    return StepError(kind, f"{place} answered {reply.status}", unsettled=reply.status in BY_A_PROXY)


def _check(request: Request) -> None:
    """What would be an error deep inside a library, with the secret in its words."""
    try:
        parts = urlsplit(request.url)
        sound = bool(parts.hostname) and parts.port != 0 and parts.username is None
    except ValueError:
        sound = False
    if not sound or not request.url.isprintable() or " " in request.url:
        raise unexpected("the url is not one that can be asked", "Write it as https://host:port/path")
    for name, value in request.headers.items():
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value) or value != value.strip():
            hint = "A header is one line of Latin letters without space around it; does a secret end with a line break?"
            raise unexpected(f"the header {name[:60]!r} cannot be sent", hint)
    own = os.environ.get("SSL_CERT_FILE") if parts.scheme == "https" else None
    trusted = ("ca", request.ca) if request.ca else ("SSL_CERT_FILE", own)
    for name, file in (trusted, *zip(("cert", "key"), request.certificate or (), strict=False)):
        if file and not Path(file).is_file():
            raise unexpected(f"the {name} file {file} is not there, or is no regular file", "Name a PEM file")
