"""No byte of a removal leaves after its deadline, and none leaves twice."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from runbook.clock import SystemClock
from runbook.cluster import http
from runbook.cluster.http import HttpClient, HttpSettings
from runbook.cluster.network import SystemNetwork
from runbook.cluster.request_guard import GivenUpError, RequestGuard
from runbook.errors import ClusterError, ErrorKind, NoAnswerError
from runbook.raft.model import Reach
from tests.cluster.stub import Stub, no_reply, reply, reset, silence, stub

DELETE = "/v1/operator/raft/peer?id=s3-id"
NO_CHECK = HttpSettings(verify=False)


@pytest.fixture
def idle() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The two ends of a connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
        with near, far:
            yield near, far


def removal_fails(client: HttpClient, timeout: float = 0.2) -> NoAnswerError:
    with pytest.raises(NoAnswerError) as caught:
        client.ask("DELETE", DELETE, timeout=timeout)
    return caught.value


def test_a_handshake_that_ends_too_late_sends_no_removal() -> None:
    """The server shakes hands after we have given up: it gets no request, and we say that surely nothing was sent."""
    with stub(lambda *_: reply(), tls_delay=0.4) as late:
        error = removal_fails(HttpClient(late.url, NO_CHECK))
        time.sleep(0.4)
        assert late.connections == 1
        assert late.heads == []
        assert (error.kind, error.reach) == (ErrorKind.UNREACHABLE, Reach.ACCEPTED)
        assert "nothing was sent" in str(error)


def test_a_handshake_in_time_sends_the_removal_once() -> None:
    """The counterpart: the same server, asked with patience, gets the request."""
    with stub(lambda *_: reply(), tls_delay=0.1) as server:
        assert HttpClient(server.url, NO_CHECK).ask("DELETE", DELETE, timeout=3).status == 200
        assert server.asked("DELETE") == [DELETE]


def test_a_name_that_resolves_too_late_sends_no_removal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can interrupt a resolver, so the request must not leave when it comes back."""
    resolve = socket.getaddrinfo

    def late(*args: object, **more: object) -> object:
        time.sleep(0.4)
        return resolve(*args, **more)  # type: ignore[arg-type]

    with stub(lambda *_: reply()) as server:
        monkeypatch.setattr(socket, "getaddrinfo", late)
        error = removal_fails(HttpClient(server.url, HttpSettings()))
        time.sleep(0.4)
        assert (error.kind, error.reach) == (ErrorKind.UNREACHABLE, Reach.SILENT)
        assert server.heads == []


def test_a_removal_without_an_answer_is_ambiguous_and_its_connection_ends() -> None:
    """Its fate is not known, and it is not sent again to find out."""
    with stub(lambda *_: read_on) as server:
        error = removal_fails(HttpClient(server.url, HttpSettings()))
        assert (error.kind, error.reach) == (ErrorKind.AMBIGUOUS, Reach.ACCEPTED)
        deadline = time.monotonic() + 2
        while not server.ends and time.monotonic() < deadline:
            time.sleep(0.01)
        assert server.ends
        assert len(server.heads) == 1


def read_on(server: Stub, line: socket.socket) -> None:
    while line.recv(1):
        pass


@pytest.mark.parametrize("ending", [reset, no_reply], ids=["reset", "closed"])
def test_a_removal_whose_connection_breaks_is_sent_once(ending: object) -> None:
    """No library may try again by itself: the first one may have been carried out."""
    with stub(lambda *_: ending) as server:  # type: ignore[arg-type]
        assert removal_fails(HttpClient(server.url, HttpSettings()), 2).kind is ErrorKind.AMBIGUOUS
        time.sleep(0.1)
        assert server.asked("DELETE") == [DELETE]


def test_a_post_that_only_reads_is_sent_in_a_dry_run_and_is_never_ambiguous() -> None:
    """etcd and some web services read by POST: what changes is said, and not guessed from the method alone."""
    with stub(lambda *_: reply()) as server:
        client = HttpClient(server.url, HttpSettings(read_only=True))
        assert client.ask("POST", "/read", timeout=1, body=b"{}", headers={"X-A": "b"}, changes=False).status == 200
        assert server.asked("POST") == ["/read"]
        assert any("X-A: b" in head for _, head in server.heads)
        with pytest.raises(ClusterError, match="dry run"):
            client.ask("POST", "/write", timeout=1)
    with stub(lambda *_: read_on) as server, pytest.raises(NoAnswerError) as caught:
        HttpClient(server.url, HttpSettings()).ask("POST", "/read", timeout=0.2, changes=False)
    assert caught.value.kind is ErrorKind.TIMEOUT


def test_a_dry_run_opens_no_connection_for_a_change() -> None:
    """Not one request with a changing method, not even a TCP connection for it."""
    with stub(lambda *_: reply()) as server:
        with pytest.raises(ClusterError, match="dry run") as caught:
            HttpClient(server.url, HttpSettings(read_only=True)).ask("DELETE", DELETE, timeout=1)
        assert caught.value.kind is ErrorKind.REJECTED
        time.sleep(0.1)
        assert server.connections == 0


def test_a_request_leaves_once() -> None:
    """Whatever a library does, a second departure is refused."""
    once = RequestGuard(5)
    once.begin_sending()
    with pytest.raises(GivenUpError):
        once.begin_sending()


def test_the_rest_of_a_body_leaves_only_while_there_is_time() -> None:
    """A large body leaves in pieces, all of one request; none of them leaves once it was given up."""
    body = RequestGuard(5)
    body.begin_sending()
    body.continue_sending()
    body.give_up()
    with pytest.raises(GivenUpError):
        body.continue_sending()


def test_a_request_does_not_leave_after_its_time() -> None:
    """Even before anybody has noticed that the time is over."""
    late = RequestGuard(0)
    with pytest.raises(GivenUpError):
        late.begin_sending()
    assert not late.sent


def test_a_request_does_not_leave_once_given_up(idle: tuple[socket.socket, socket.socket]) -> None:
    """And a connection that opens later is of no use to it."""
    given_up = RequestGuard(5)
    given_up.give_up()
    with pytest.raises(GivenUpError):
        given_up.connect(idle[0])
    with pytest.raises(GivenUpError):
        given_up.begin_sending()
    assert not given_up.sent


def test_giving_up_stops_even_bytes_that_were_about_to_be_written(idle: tuple[socket.socket, socket.socket]) -> None:
    """The thread was held up between its permission and its write: the write fails."""
    near, far = idle
    leaving = RequestGuard(5)
    leaving.connect(near)
    leaving.begin_sending()
    leaving.give_up()
    with pytest.raises(OSError, match="pipe|reset"):
        near.sendall(b"DELETE")


def test_giving_up_throws_away_what_the_kernel_has_not_sent(idle: tuple[socket.socket, socket.socket]) -> None:
    """Bytes in the sending queue would otherwise go on being sent for minutes, as soon as the network heals."""
    near, far = idle
    leaving = RequestGuard(5)
    leaving.connect(near)
    leaving.begin_sending()
    near.setblocking(False)
    queued = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            queued += near.send(b" " * 65536)
    leaving.give_up()
    near.close()
    arrived = 0
    far.settimeout(1)
    with contextlib.suppress(ConnectionResetError):
        while piece := far.recv(65536):
            arrived += len(piece)
    assert arrived < queued


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system cannot limit resending")
def test_the_kernel_does_not_send_again_after_the_deadline(idle: tuple[socket.socket, socket.socket]) -> None:
    """Should this very process be killed, the kernel gives up when we would have."""
    leaving = RequestGuard(5)
    leaving.connect(idle[0])
    leaving.begin_sending()
    assert 0 < idle[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) <= 5000
    leaving.close()


def test_exactly_one_of_departing_and_giving_up_wins() -> None:
    """From two threads at once, many times: what was given up first never leaves."""
    for _ in range(300):
        contested = RequestGuard(5)
        left: list[bool] = []
        both = threading.Barrier(2)

        def begin_sending(
            contested: RequestGuard = contested, left: list[bool] = left, both: threading.Barrier = both
        ) -> None:
            both.wait()
            try:
                contested.begin_sending()
                left.append(True)
            except GivenUpError:
                left.append(False)

        thread = threading.Thread(target=begin_sending)
        thread.start()
        both.wait()
        contested.give_up()
        known = contested.sent
        thread.join()
        assert left == [known]


def test_a_hung_read_leaves_no_thread_behind() -> None:
    """A run may look hundreds of times at a server that hangs: giving up frees the thread that waited for it."""
    with stub(lambda *_: silence) as server:
        before = hands()
        for _ in range(8):
            with pytest.raises(NoAnswerError):
                HttpClient(server.url, HttpSettings()).ask("GET", "/", timeout=0.1)
            time.sleep(0.05)
        assert hands() <= before + 1


def hands() -> int:
    """The threads that ask, busy or idle."""
    return [thread.name for thread in threading.enumerate()].count("worker")


def test_interrupting_a_removal_stops_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while the handshake hangs: the request does not leave behind the operator's back."""
    with stub(lambda *_: reply(), tls_delay=0.2) as server:

        def interrupted(seconds: float, work: object) -> None:
            threading.Thread(target=quietly, args=(work,), daemon=True).start()
            time.sleep(0.1)
            raise KeyboardInterrupt

        monkeypatch.setattr(http, "within", interrupted)
        with pytest.raises(KeyboardInterrupt):
            HttpClient(server.url, NO_CHECK).ask("DELETE", DELETE, timeout=5)
        time.sleep(0.3)
        assert server.heads == []


def quietly(work: object) -> None:
    with contextlib.suppress(NoAnswerError, GivenUpError):
        work()  # type: ignore[operator]


def test_a_machine_that_slept_sends_nothing_that_it_wanted_to_send_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux's monotonic clock stands still in a suspended machine; ours goes on, for requests, looks and waits."""
    guard, slept = RequestGuard(20.0), time.clock_gettime(time.CLOCK_BOOTTIME) + 3600
    monkeypatch.setattr(time, "clock_gettime", lambda _which: slept)
    with pytest.raises(GivenUpError):
        guard.begin_sending()
    assert SystemNetwork(HttpSettings()).monotonic() == SystemClock().monotonic() == slept
