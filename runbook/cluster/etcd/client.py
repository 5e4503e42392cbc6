"""One question to one etcd member: a POST of JSON, also where it only reads; signed in where a user is given."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import inf
from typing import IO, Any, TypeVar

from runbook.cluster import http
from runbook.cluster.etcd.errors import error_of, needs_no_user, was_refused_after_quorum
from runbook.cluster.http import Reply
from runbook.cluster.network import Network, ask_first, seconds_left
from runbook.errors import ClusterError, ErrorKind

T = TypeVar("T")

SIGN_IN = "/v3/auth/authenticate"
READ = "/v3/kv/range"
ANY_KEY = {"key": "AA==", "limit": "1", "keys_only": True}  # a linearizable read, whatever the key
METRICS_LIMIT = 8 * 1024 * 1024


class EtcdClient:
    """The network, and the token of the user where one is given: it is asked for once and again when it has expired."""

    def __init__(self, network: Network, user: str | None, password: str) -> None:
        self._network = network
        self._user, self._password = user, password
        self._token: str | None = None

    @property
    def user(self) -> str | None:
        """Who signs in, if anybody does."""
        return self._user

    @property
    def is_signed_in(self) -> bool:
        """False before the first question, where no user is given, and where authentication is off."""
        return bool(self._token)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be seen in any record."""
        return tuple(secret for secret in (self._password, self._token) if secret)

    def left(self, until: float, most: float = inf) -> float:
        """Seconds until then, and at most so many."""
        return seconds_left(self._network, until, most)

    def read(self, url: str, path: str, body: dict[str, Any], until: float) -> Any:
        """The JSON of the member at ``url``. Raises ClusterError."""
        reply = _fine(self._signed_in(url, path, body, until, changes=False), url + path, changes=False)
        return _decode(reply.body, url + path)

    def prove_quorum(self, url: str, until: float) -> None:
        """A linearizable read by the member at ``url``. Raises ClusterError where no quorum has surely agreed to it."""
        self.may_read(url, until)

    def may_read(self, url: str, until: float) -> bool:
        """What a linearizable read says of the user's rights, once a quorum has agreed to it. Raises ClusterError."""
        reply = self._signed_in(url, READ, ANY_KEY, until, changes=False)
        if reply.status != 200 and not was_refused_after_quorum(reply):
            raise error_of(f"POST {url}{READ}", reply, changes=False)
        return reply.status == 200

    def change(self, url: str, path: str, body: dict[str, Any], until: float) -> Any:
        """The same for a request that changes the cluster: sent once, and ambiguous where its reply is lost."""
        reply = _fine(self._signed_in(url, path, body, until, changes=True), url + path, changes=True)
        return _decode(reply.body, url + path)

    def save(self, url: str, path: str, file: IO[bytes], until: float, limit: int) -> None:
        """The whole body of a stream into a file."""
        reply = self._signed_in(url, path, {}, until, changes=False, into=file, limit=limit)
        _fine(reply, url + path, changes=False)

    def metrics(self, url: str, until: float) -> str:
        """The page of the member's metrics, which needs no user. Raises ClusterError."""
        timeout = self.left(until)
        reply = self._network.ask(url, "GET", "/metrics", timeout=timeout, limit=METRICS_LIMIT, into=None)
        if reply.status != 200:
            raise error_of(f"GET {url}/metrics", reply, changes=False)
        return reply.body.decode("utf-8", "replace")

    def first(self, urls: tuple[str, ...], until: float, ask: Callable[[str], T]) -> T:
        """From the first member that can be asked; from a second one only where the request surely did not arrive."""
        return ask_first(self._network, urls, until, ask)

    def _signed_in(
        self,
        url: str,
        path: str,
        body: dict[str, Any],
        until: float,
        *,
        changes: bool,
        into: IO[bytes] | None = None,
        limit: int = http.BODY_LIMIT,
    ) -> Reply:
        """Whatever is answered, with a token where a user is given; one that has expired is asked for anew."""
        if self._user is not None and self._token is None:
            self._token = self._sign_in(url, until)
        reply = self._post(url, path, body, until, changes, into, limit)
        if self._user is not None and reply.status == 401:
            self._token = self._sign_in(url, until)
            reply = self._post(url, path, body, until, changes, into, limit)
        return reply

    def _sign_in(self, url: str, until: float) -> str:
        """The token; an empty one where authentication is off, as etcd's own client then goes on without one."""
        body = {"name": self._user, "password": self._password}
        reply = self._post(url, SIGN_IN, body, until, False, None, http.BODY_LIMIT)
        if needs_no_user(reply):
            return ""
        token = _decode(_fine(reply, url + SIGN_IN, changes=False).body, url + SIGN_IN)
        told = token.get("token") if isinstance(token, dict) else None
        if not (isinstance(told, str) and told.isascii() and told.isprintable() and told):
            raise ClusterError(ErrorKind.BAD_REPLY, f"POST {url}{SIGN_IN} answered without a token")
        return told

    def _post(
        self, url: str, path: str, body: dict[str, Any], until: float, changes: bool, into: IO[bytes] | None, limit: int
    ) -> Reply:
        headers = {"Content-Type": "application/json"}
        if self._token and path != SIGN_IN:
            headers["Authorization"] = self._token
        return self._network.ask(
            url,
            "POST",
            path,
            timeout=self.left(until),
            limit=limit,
            into=into,
            body=json.dumps(body).encode(),
            headers=headers,
            changes=changes,
        )


def _fine(reply: Reply, place: str, *, changes: bool) -> Reply:
    if reply.status != 200:
        raise error_of(f"POST {place}", reply, changes=changes)
    return reply


def _decode(body: bytes, url: str) -> Any:
    try:
        return json.loads(body or b"{}")
    except (ValueError, RecursionError):
        shown = " ".join(body[:80].decode("utf-8", "replace").split())
        sentence = f"{url} did not answer JSON but: {shown}"
        raise ClusterError(ErrorKind.BAD_REPLY, sentence, "Is this the client port of an etcd member?") from None
