"""An API at a unix socket of this host: asked as any other, and what is wrong with it is told."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from runbook.cluster.environment import cluster_from
from runbook.cluster.http import HttpClient, HttpSettings
from runbook.errors import ClusterError, ErrorKind, NoAnswerError
from runbook.raft.model import Reach
from tests.cluster.stub import reply, silence, stub

DELETE = "/v1/operator/raft/peer?id=s3-id"


@pytest.fixture
def place() -> Iterator[Path]:
    """The kernel allows 107 characters."""
    with TemporaryDirectory() as folder:
        yield Path(folder) / "http.sock"


def client(place: Path) -> HttpClient:
    return HttpClient(f"unix://{place}", HttpSettings(headers={"X-Nomad-Token": "canary"}))


def test_it_is_asked_as_any_other_and_a_kept_connection_is_used_again(place: Path) -> None:
    with stub(lambda *_: reply("yes"), path=place) as server:
        asking = client(place)
        assert [asking.ask("GET", "/v1/status/leader", timeout=5).body for _ in range(3)] == [b"yes"] * 3
        assert asking.ask("DELETE", DELETE, timeout=5).status == 200
        assert (server.asked("GET"), server.asked("DELETE")) == (["/v1/status/leader"] * 3, [DELETE])
        assert server.connections == 2, "a removal has one of its own"
        assert all("X-Nomad-Token: canary" in head and "Host: localhost" in head for _, head in server.heads)


def test_a_removal_without_an_answer_is_ambiguous(place: Path) -> None:
    with stub(lambda *_: silence, path=place), pytest.raises(NoAnswerError, match=f"unix://{place}") as caught:
        client(place).ask("DELETE", DELETE, timeout=0.3)
    assert (caught.value.kind, caught.value.reach) == (ErrorKind.AMBIGUOUS, Reach.ACCEPTED)


def test_what_is_wrong_with_the_socket(place: Path) -> None:
    """Nothing was sent in any case."""

    def fails() -> tuple[Reach, ErrorKind, str]:
        with pytest.raises(NoAnswerError) as caught:
            client(place).ask("DELETE", DELETE, timeout=2)
        return caught.value.reach, caught.value.kind, str(caught.value)

    reach, kind, words = fails()
    assert (reach, kind) == (Reach.UNREACHABLE, ErrorKind.UNREACHABLE)
    assert "there is no such socket" in words
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
        assert fails()[:2] == (Reach.REFUSED, ErrorKind.UNREACHABLE), "nobody listens"
        listener.listen(0)
        with socket.socket(socket.AF_UNIX) as waiting:  # whose process is frozen, and its queue full
            waiting.connect(str(place))
            reach, kind, words = fails()
            assert (reach, kind) == (Reach.ACCEPTED, ErrorKind.UNREACHABLE)
            assert "it may be frozen" in words.lower()
    if os.geteuid() != 0:  # root may open all
        place.chmod(0)
        assert "this user may not open that socket" in fails()[2]


@pytest.mark.parametrize("variable", ["CONSUL_HTTP_ADDR", "NOMAD_ADDR"])
def test_the_environment_names_one_beside_others(variable: str, place: Path) -> None:
    """As the product's own command line has it; a read is passed on to the next where nobody listens."""
    port = {"CONSUL_HTTP_ADDR": 8500, "NOMAD_ADDR": 4646}[variable]
    cluster = cluster_from({variable: f"unix://{place}/, http://127.0.0.1:{port}"}, read_only=True)
    assert cluster.name.endswith(f"unix://{place}")
    alone = cluster_from({variable: f"unix://{place}"}, read_only=True)
    view = alone.look()
    assert [vantage.url for vantage in view.vantages] == [f"unix://{place}"]
    assert "there is no such socket" in str(view.error_text)
    with pytest.raises(ClusterError):
        alone.save_state(place.with_name("state"))
