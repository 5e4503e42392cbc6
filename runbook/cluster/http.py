"""The one door to the network. Every request has its own time-out and a limit on its body, and is sent once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from runbook.cluster.port import ClusterError, Trouble
from runbook.raft.model import Reach

if TYPE_CHECKING:
    import requests

T = TypeVar("T")

CONNECT_TIMEOUT = 3.0  # seconds (FACTS 9 row 30: probes 2-3 s)
BODY_LIMIT = 16 * 1024 * 1024  # a configuration of a thousand peers is far below a megabyte


class NoAnswerError(ClusterError):
    """No HTTP reply came; ``reach`` says how far the request got."""

    def __init__(self, reach: Reach, trouble: Trouble, what: str, next_action: str) -> None:
        super().__init__(trouble, what, next_action)
        self.reach = reach


@dataclass(frozen=True)
class Settings:
    """How to speak to the servers. Secrets live here and are never shown: see ``repr=False``."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    basic_auth: tuple[str, str] | None = field(default=None, repr=False)
    verify: bool | str = True
    certificate: tuple[str, str] | None = None
    read_only: bool = False


@dataclass(frozen=True)
class Reply:
    """A whole HTTP reply."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as a person may read it: one line, at most 300 characters."""
        return " ".join(self.body[:4000].decode("utf-8", "replace").split())[:300]


class Door:
    """Requests to one base URL. Not for two threads at once."""

    def __init__(self, base: str, settings: Settings) -> None:
        self.base = base.rstrip("/")
        self._settings = settings
        self._session: requests.Session | None = None

    def ask(self, method: str, path: str, *, timeout: float, limit: int = BODY_LIMIT) -> Reply:
        """One request, given up after ``timeout`` seconds whatever the server does (a byte a second included).

        Raises :class:`NoAnswerError`; for a changing method whose fate is not known its trouble is ``AMBIGUOUS``.
        """
        if self._settings.read_only and method != "GET":
            raise ClusterError(Trouble.REJECTED, f"a dry run sends no {method} {path}")
        try:
            return within(timeout, lambda: self._exchange(method, path, timeout, limit))
        except TimeoutError:
            raise self._gave_up(method, path, timeout) from None

    def _gave_up(self, method: str, path: str, timeout: float) -> NoAnswerError:
        trouble = Trouble.TIMEOUT if method == "GET" else Trouble.AMBIGUOUS
        what = f"{method} {self.base}{path}: no whole answer within {timeout:g} s"
        return NoAnswerError(Reach.ACCEPTED, trouble, what, "The server accepts connections and may be frozen")

    def _exchange(self, method: str, path: str, timeout: float, limit: int) -> Reply:
        import requests

        until = time.monotonic() + timeout
        try:
            with self._open().request(
                method,
                self.base + path,
                timeout=(min(CONNECT_TIMEOUT, timeout), timeout),
                stream=True,
                allow_redirects=False,
                verify=self._settings.verify,
                cert=self._settings.certificate,
            ) as answer:
                body = self._read(answer, until, limit)
                return Reply(answer.status_code, dict(answer.headers), body)
        except (requests.exceptions.RequestException, OSError) as error:
            raise self._explain(method, path, error) from error

    def _open(self) -> requests.Session:
        import requests

        if self._session is None:
            self._session = requests.Session()
            self._session.trust_env = False  # no proxy, no .netrc: the token goes to the server that was named
            self._session.headers.update(self._settings.headers)
            self._session.auth = self._settings.basic_auth
        return self._session

    def _read(self, answer: requests.Response, until: float, limit: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        for part in answer.iter_content(64 * 1024):
            parts.append(part)
            size += len(part)
            if size > limit:
                what = f"{answer.url} sent more than {limit // 1024**2} MiB"
                raise ClusterError(Trouble.BAD_REPLY, what, "Is this the server's own API?")
            if time.monotonic() > until:
                raise TimeoutError
        return b"".join(parts)

    def _explain(self, method: str, path: str, error: Exception) -> NoAnswerError:
        """Which of the many ways to fail it was, and what to check (never the token)."""
        import requests

        place = f"{method} {self.base}{path}"
        words = str(error)
        sent = method != "GET" and not isinstance(error, requests.exceptions.ConnectTimeout)
        if isinstance(error, requests.exceptions.SSLError):
            return NoAnswerError(
                Reach.ACCEPTED, Trouble.UNREACHABLE, f"{place}: TLS failed ({_short(words)})", "Check the CA and names"
            )
        if isinstance(error, requests.exceptions.ConnectTimeout):
            return NoAnswerError(Reach.SILENT, Trouble.UNREACHABLE, f"{place}: no answer", "Check routes and firewalls")
        if "refused" in words:
            return NoAnswerError(
                Reach.REFUSED, Trouble.UNREACHABLE, f"{place}: nothing listens there", "Check the address"
            )
        if "resolve" in words or "Name or service" in words:
            return NoAnswerError(
                Reach.UNREACHABLE, Trouble.UNREACHABLE, f"{place}: the name does not resolve", "Check DNS"
            )
        if "unreachable" in words or "No route" in words:
            return NoAnswerError(Reach.UNREACHABLE, Trouble.UNREACHABLE, f"{place}: no route", "Check the network")
        trouble = Trouble.AMBIGUOUS if sent else Trouble.TIMEOUT
        return NoAnswerError(Reach.ACCEPTED, trouble, f"{place}: the connection broke ({_short(words)})", "Look again")


def _short(words: str) -> str:
    return " ".join(words.split())[-160:]


def within(seconds: float, work: Callable[[], T]) -> T:
    """The result of ``work``, or ``TimeoutError``. The thread is a daemon, so a hung server cannot hold the exit."""
    box: list[T] = []
    error: list[BaseException] = []

    def run() -> None:
        try:
            box.append(work())
        except BaseException as caught:
            error.append(caught)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if error:
        raise error[0]
    if not box:
        raise TimeoutError
    return box[0]


def all_at_once(works: list[Callable[[], T]], seconds: float) -> list[T | None]:
    """Every result in order, ``None`` for what did not come in time: one hung server does not make a look slow."""
    box: list[T | None] = [None] * len(works)

    def run(place: int) -> None:
        box[place] = works[place]()

    threads = [threading.Thread(target=run, args=(place,), daemon=True) for place in range(len(works))]
    for thread in threads:
        thread.start()
    until = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return list(box)
