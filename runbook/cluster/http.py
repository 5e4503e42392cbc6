"""The one door to the network. Every request has its own time-out and a limit on its body, and is sent once."""

from __future__ import annotations

import base64
import errno
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import field
from functools import cached_property
from typing import IO, TYPE_CHECKING

from runbook import __version__
from runbook.clock import seconds as now
from runbook.clock import wall_seconds
from runbook.cluster.access import socket_path
from runbook.cluster.request_guard import GivenUpError, RequestGuard
from runbook.cluster.server_facts import NO_FACTS, ServerFacts, facts_of
from runbook.cluster.threads import within
from runbook.dataclass import dataclass
from runbook.doors import check_network, is_dry_run
from runbook.errors import ClusterError, ErrorKind, NoAnswerError
from runbook.raft.model import Reach
from runbook.redaction import Redactor

if TYPE_CHECKING:
    import requests
    from requests.adapters import HTTPAdapter

CONNECT_TIMEOUT = 3.0  # seconds: a first packet that got lost is sent again after one
PROBE_TIMEOUT = 2.0  # seconds; below the second at which the kernel turns an absent neighbour into an error of its own
BODY_LIMIT = 16 * 1024 * 1024  # a configuration of a thousand peers is far below a megabyte
PIECE = 64 * 1024
Body = bytes | IO[bytes]  # a file is sent from where it stands, piece by piece
NO_HANDSHAKE = Reach.ACCEPTED, "no end of the TLS handshake", "It may be frozen; nothing was sent"
NO_ROUTE = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN)


@dataclass(frozen=True)
class HttpSettings:
    """How to speak to the servers. Secrets live here and are never shown: see ``repr=False``.

    ``plain`` are headers that are no secrets, so that a reply may repeat them. ``server_name`` is the name that TLS
    asks for and checks instead of the address's host; ``server_names`` says another one for single base URLs.
    """

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    basic_auth: tuple[str, str] | None = field(default=None, repr=False)
    verify: bool | str = True
    certificate: tuple[str, str] | None = None
    read_only: bool = False
    server_name: str | None = None
    plain: Mapping[str, str] = field(default_factory=dict, repr=False)
    server_names: Mapping[str, str] = field(default_factory=dict)

    def server_name_at(self, base: str) -> str | None:
        """The name that TLS asks for at this base URL."""
        return self.server_names.get(base, self.server_name)

    @property
    def basic_code(self) -> str:
        return base64.b64encode(":".join(self.basic_auth).encode()).decode() if self.basic_auth else ""

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be seen in any record."""
        return (*self.headers.values(), self.basic_code, self.basic_auth[1] if self.basic_auth else "")

    def hide_in(self, body: bytes) -> bytes:
        """What a server or a proxy echoes of our secrets is not for logs (I13)."""
        return self._redactor.hide_bytes(body)

    @cached_property
    def _redactor(self) -> Redactor:
        redactor = Redactor()
        for secret in self.secrets:
            redactor.learn(secret)
        return redactor


@dataclass(frozen=True)
class Reply:
    """A whole HTTP reply; the names of its headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    facts: ServerFacts = NO_FACTS

    @property
    def text(self) -> str:
        """The body as a person may read it: one line, at most 300 characters."""
        return " ".join(self.body[:4000].decode("utf-8", "replace").split())[:300]


@dataclass(frozen=True)
class _Request:
    """What is sent, and whether it may change something."""

    method: str
    base: str
    path: str
    body: Body | None
    headers: Mapping[str, str] = field(repr=False)
    changes: bool

    @property
    def url(self) -> str:
        """As a person reads it; what is sent to a unix socket names another host."""
        return self.base + self.path


class HttpClient:
    """Requests to one base URL. Not for two threads at once."""

    def __init__(self, base: str, settings: HttpSettings) -> None:
        self.base = base.rstrip("/")
        self._socket_path = socket_path(self.base)
        self._sent_to = "http://localhost" if self._socket_path else self.base
        self._secure = self.base.lower().startswith("https:")
        self._settings = settings
        self._adapter: HTTPAdapter | None = None
        self._certificate: Mapping[str, object] | None = None  # as the newest handshake showed it

    def ask(
        self,
        method: str,
        path: str,
        *,
        timeout: float,
        limit: int = BODY_LIMIT,
        into: IO[bytes] | None = None,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
        changes: bool | None = None,
    ) -> Reply:
        """One request, given up after ``timeout`` seconds whatever the server does (a byte a second included).

        The body of a 200 goes ``into`` a file where one is given. ``changes`` is true of every method but GET unless it
        is said: etcd reads by POST. Raises :class:`NoAnswerError`. For a changing request its kind is ``AMBIGUOUS`` if
        the fate is not known, and ``UNREACHABLE`` if surely not a byte was sent; none is sent after the deadline.
        """
        may_change = method != "GET" if changes is None else changes
        request = _Request(method, self.base, path, body, headers or {}, may_change)
        if request.changes and (self._settings.read_only or is_dry_run()):
            raise ClusterError(ErrorKind.REJECTED, f"a dry run sends no {method} {path}")
        check_network(f"send {method} {self.base}")
        guard = RequestGuard(timeout)
        try:
            return within(timeout, lambda: self._exchange(guard, request, limit, into))
        except (TimeoutError, GivenUpError):
            guard.give_up()
            raise _gave_up(guard, request, timeout) from None
        except KeyboardInterrupt:
            guard.give_up()
            raise

    def _exchange(self, guard: RequestGuard, request: _Request, limit: int, into: IO[bytes] | None) -> Reply:
        import requests
        from urllib3.exceptions import HTTPError

        from runbook.cluster.connections import guarded_adapter, this_thread

        this_thread.guard = guard
        adapter = None if request.changes else self._adapter
        if adapter is None:
            checks, name = self._settings.verify is not False, self._settings.server_name_at(self.base)
            adapter = guarded_adapter(self._secure, check_name=checks, server_name=name, socket_path=self._socket_path)
        if not request.changes:  # a change has a connection of its own: one that was kept may be closed under it
            self._adapter = adapter
        left, began = max(0.001, guard.until - now()), wall_seconds()
        try:
            # An adapter and no session: no proxy, no .netrc, no cookie and no redirect can take the token elsewhere.
            with adapter.send(
                requests.Request(
                    request.method,
                    self._sent_to + request.path,
                    headers={**self._headers, **request.headers},
                    data=request.body,
                ).prepare(),
                timeout=(min(CONNECT_TIMEOUT, left), left + 1),  # the guard's own end comes first
                stream=True,
                verify=self._settings.verify if self._secure else True,  # a path is looked up at each request
                cert=self._settings.certificate,
            ) as answer:
                sink = into if answer.status_code == 200 else None
                read = self._settings.hide_in(b"".join(_pieces(answer, guard, limit, sink)))
                headers = {key.lower(): value for key, value in answer.headers.items()}
                self._certificate = guard.certificate or self._certificate
                return Reply(answer.status_code, headers, read, facts_of(headers.get("date"), began, self._certificate))
        except _TooMuchError as error:
            raise ClusterError(_fate(guard, request, ErrorKind.BAD_REPLY), str(error), "Is this its API?") from None
        except (requests.exceptions.RequestException, HTTPError, OSError) as error:
            raise self._explain(guard, request, error) from None
        finally:
            guard.close()
            if adapter is not self._adapter:
                adapter.close()

    @property
    def _headers(self) -> Mapping[str, str]:
        basic = {"Authorization": f"Basic {self._settings.basic_code}"} if self._settings.basic_auth else {}
        return {
            "User-Agent": f"runbook/{__version__}",
            "Accept-Encoding": "identity",
            **self._settings.plain,
            **self._settings.headers,
            **basic,
        }

    def _explain(self, guard: RequestGuard, request: _Request, error: Exception) -> NoAnswerError:
        """Which of the many ways to fail it was, and what to check (never the token)."""
        from runbook.cluster.tls_errors import explain_tls, tls_error_in

        failed = tls_error_in(_causes(error))
        if failed is not None:
            name, settings = self._settings.server_name_at(request.base), self._settings
            reach = Reach.ACCEPTED
            what, next_action = explain_tls(failed, request.url, name, (settings.verify, settings.certificate))
        else:
            reach, what, next_action = _what_happened(guard, error, request)
        words = self._settings.hide_in(what.encode()).decode()
        kind = _fate(guard, request, ErrorKind.TIMEOUT if guard.sent else ErrorKind.UNREACHABLE)
        spoke = failed is not None and not isinstance(failed, ssl.SSLEOFError | ssl.SSLZeroReturnError)
        return NoAnswerError(reach, kind, f"{request.method} {request.url}: {words}", next_action, spoke=spoke)


class _TooMuchError(Exception):
    """A body over its limit."""


def _pieces(answer: requests.Response, guard: RequestGuard, limit: int, sink: IO[bytes] | None) -> Iterator[bytes]:
    size = 0
    for piece in answer.iter_content(PIECE):
        size += len(piece)
        if size > limit:
            raise _TooMuchError(f"{answer.url} sent more than {limit // 1024**2} MiB")
        if now() > guard.until:
            raise GivenUpError
        if sink is None:
            yield piece
        else:
            sink.write(piece)


def _fate(guard: RequestGuard, request: _Request, otherwise: ErrorKind) -> ErrorKind:
    return ErrorKind.AMBIGUOUS if request.changes and guard.sent else otherwise


def _gave_up(guard: RequestGuard, request: _Request, timeout: float) -> NoAnswerError:
    if not guard.connected:
        reach, what, advice = Reach.SILENT, "no connection", "Check DNS, routes and firewalls; nothing was sent"
    elif not guard.sent:
        reach, what, advice = NO_HANDSHAKE
    else:
        reach, what, advice = Reach.ACCEPTED, "no whole answer", "The server accepts connections and may be frozen"
    unsent = ErrorKind.UNREACHABLE if request.changes else ErrorKind.TIMEOUT
    sentence = f"{request.method} {request.url}: {what} within {max(0.1, round(timeout, 1)):g} s"
    return NoAnswerError(reach, _fate(guard, request, unsent), sentence, advice)


_SOCKETS: dict[type[BaseException], tuple[Reach, str, str]] = {  # what keeps from opening a unix socket
    BlockingIOError: (Reach.ACCEPTED, "its socket takes no more connections", "It may be frozen; nothing was sent"),
    FileNotFoundError: (Reach.UNREACHABLE, "there is no such socket", "Check its path, and that the agent runs here"),
    PermissionError: (Reach.UNREACHABLE, "this user may not open that socket", "Check its owner and mode"),
}


def _what_happened(guard: RequestGuard, error: Exception, request: _Request) -> tuple[Reach, str, str]:
    """By the types in the chain of causes, as words differ between versions and hold the address itself."""
    causes = list(_causes(error))
    if any(isinstance(cause, socket.gaierror | UnicodeError) for cause in causes):
        return Reach.UNREACHABLE, "the name does not resolve", "Check the name and DNS"
    if not guard.connected and any(isinstance(cause, TimeoutError) for cause in causes):
        return Reach.SILENT, "no packet came back", "Check routes and firewalls"
    if not guard.connected and any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return Reach.REFUSED, "nothing listens there", "Check the address, and that the agent runs"
    if not guard.sent and any(isinstance(cause, TimeoutError) for cause in causes):
        return NO_HANDSHAKE
    if any(isinstance(cause, OSError) and cause.errno in NO_ROUTE for cause in causes):
        return Reach.UNREACHABLE, "no route", "Check the network"
    if not guard.connected and (known := [_SOCKETS[type(each)] for each in causes if type(each) in _SOCKETS]):
        return known[0]
    if not guard.connected:
        return Reach.UNREACHABLE, f"no connection ({_short(error)})", "Check the address"
    unread = any(isinstance(cause, ConnectionResetError) for cause in causes)  # as by etcd where it expects TLS
    maybe = ", or write https:// if it speaks TLS" if unread and request.base.startswith("http://") else ""
    return Reach.ACCEPTED, f"the connection broke ({_short(error)})", f"Look again{maybe}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _short(error: Exception) -> str:
    """The words of the innermost cause: those around it repeat the URL, whose path may be a secret (I13)."""
    return " ".join(str(list(_causes(error))[-1]).split())[-160:]
