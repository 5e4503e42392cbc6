"""One question to one server of a Nomad or Consul cluster: sent, checked, read as JSON."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any, TypeVar
from urllib.parse import quote

from runbook.cluster import http
from runbook.cluster.hashicorp.dialects import Dialect, error_of
from runbook.cluster.http import Reply
from runbook.cluster.network import Network
from runbook.dataclass import dataclass
from runbook.decode import decode
from runbook.errors import ClusterError, ErrorKind, NoAnswerError

T = TypeVar("T")
PICKS = 4  # tries of a read: of five servers with one dead the last fails once in 625
NOT_PASSED_ON = "failed to get conn"


@dataclass(frozen=True)
class Client:
    """The network, what the product calls things, and the region that is asked for."""

    dialect: Dialect
    network: Network
    region: str | None

    def left(self, until: float, most: float = inf) -> float:
        """Seconds until then, and at most so many."""
        return max(0.01, min(most, until - self.network.monotonic()))

    def get(self, url: str, path: str, until: float, fine: tuple[int, ...] = (200,)) -> Any:
        """The JSON of the server at ``url``. Raises ClusterError, also where an ACL left something out of it."""
        reply = self.checked(url, "GET", path, self.left(until), fine=fine)
        if reply.headers.get("x-consul-results-filtered-by-acls") == "true":
            what = f"GET {url}{path} left out what this token may not see"
            raise ClusterError(ErrorKind.FORBIDDEN, what, f"This needs {self.dialect.reading}")
        return decode(reply.body, url + path)

    def checked(
        self,
        url: str,
        method: str,
        path: str,
        timeout: float,
        limit: int = http.BODY_LIMIT,
        into: Any = None,
        fine: tuple[int, ...] = (200,),
        body: http.Body | None = None,
    ) -> Reply:
        """The reply, where its status is ``fine``. Raises ClusterError for any other.

        A read that a server of another region hands to one that is dead is asked for again, as each time it picks one.
        """
        until = self.network.monotonic() + timeout
        for _ in range(PICKS if method == "GET" and self.region else 1):
            left = self.left(until, timeout)
            asked = self._in_region(path)
            reply = self.network.ask(url, method, asked, timeout=left, limit=limit, into=into, body=body)
            if reply.status in fine:
                return reply
            if NOT_PASSED_ON not in reply.text.lower():
                break
        raise error_of(f"{method} {url}{path.split('?')[0]}", method, reply, self.dialect)

    def _in_region(self, path: str) -> str:
        if not self.region:
            return path
        return f"{path}{'&' if '?' in path else '?'}{self.dialect.region_parameter}={quote(self.region, safe='')}"

    def first(self, urls: tuple[str, ...], seconds: float, ask: Callable[[str, float], T]) -> T:
        """From the first server that can be asked; from a second one only where the request surely did not arrive."""
        until = self.network.monotonic() + seconds
        for url in urls[:-1]:
            try:
                return ask(url, self.left(until))
            except NoAnswerError as error:
                if error.kind is ErrorKind.AMBIGUOUS:
                    raise
        return ask(urls[-1], self.left(until))
