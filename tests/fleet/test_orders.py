"""Orders as they travel: what is read, what is refused, and that one signature holds for each of many and no other."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runbook.errors import NotStartedError
from runbook.fleet.orders import CHECK, LONGEST_ORDER, Order, new_id, reason_not_now, root_of, tree_of
from runbook.fleet.signed_orders import SealReader, sealed
from tests.approvers import allowed_signers, signer

ORDER = Order("0" * 32, CHECK, "eu", "nomad-1", 100.0, 110.0, {"timeout": 9.0})
ODD: tuple[dict[str, Any], ...] = (
    {"id": "../x"},
    {"kind": "shell"},
    {"cluster": 1},
    {"issued": "0"},
    {"expires": True},
    {"what": []},
    {"version": 2},
    {"more": 1},
)
needs_ssh = pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="needs ssh-keygen")


def test_an_order_is_read_as_it_was_written() -> None:
    assert Order.read(ORDER.text) == ORDER


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "null",
        "x" * (LONGEST_ORDER + 1),
        "[" * 100_000,
        *(json.dumps({**json.loads(ORDER.text), **odd}) for odd in ODD),
    ],
)
def test_whatever_else_comes_is_no_order(text: str) -> None:
    with pytest.raises(NotStartedError, match="no order of this version"):
        Order.read(text)


@pytest.mark.parametrize(
    ("now", "words"), [(100.0, ""), (110.0, ""), (96.0, ""), (111.5, "expired"), (90.0, "from 10 s in the future")]
)
def test_an_order_is_good_for_its_time(now: float, words: str) -> None:
    """With some seconds by which clocks may differ."""
    assert (words in reason_not_now(ORDER, now), bool(reason_not_now(ORDER, now))) == (True, bool(words))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 13])
def test_each_of_many_leads_to_the_one_root(count: int) -> None:
    texts = [f"order {number}" for number in range(count)]
    tree = tree_of(texts)
    for text, path in zip(texts, tree.paths, strict=True):
        assert root_of(text, list(path)) == tree.root
        assert root_of(f"{text}.", list(path)) != tree.root
        assert not path or root_of(text, list(path)[1:]) != tree.root
    assert [root_of("order 0", odd) for odd in (None, "", ["L"], [1], ["Lx" * 33], ["L" + "0" * 64] * 41)] == [""] * 6


def many(count: int = 3) -> list[Order]:
    return [replace(ORDER, id=new_id(), cluster=f"nomad-{number}") for number in range(count)]


@needs_ssh
def test_one_signature_holds_for_each_and_for_nothing_else(tmp_path: Path) -> None:
    ann, eve = signer(tmp_path, "ann@example.org"), signer(tmp_path, "eve@example.org")
    reader = SealReader(str(allowed_signers(tmp_path, ann)))
    orders = many()
    messages = sealed(orders, str(ann.key))
    assert len({message["signature"] for message in messages}) == 1
    assert [reader.read(message) for message in messages] == [(order, "ann@example.org") for order in orders]

    def refused(words: str, message: Any) -> None:
        with pytest.raises(NotStartedError, match=words):
            reader.read(message)

    text = messages[0]["order"]
    refused("was changed on its way", {**messages[0], "order": text.replace("nomad-0", "nomad-9")})
    refused("was changed on its way", {**messages[0], "order": messages[1]["order"]})
    refused("not signed, and this worker does none", {"order": text})
    refused("signature of the order is none", {**messages[0], "path": "x"})
    refused("signature of the order is none", {**messages[0], "signature": 5})
    refused("does not know", sealed(orders, str(eve.key))[0])
    refused("no order", None)
    refused("no order", {"order": 1})


@needs_ssh
def test_whoever_is_taken_from_the_list_gives_no_orders_any_more(tmp_path: Path) -> None:
    """Also where one of the same root was done a moment ago."""
    ann, bob = signer(tmp_path, "ann@example.org"), signer(tmp_path, "bob@example.org")
    reader = SealReader(str(allowed_signers(tmp_path, ann, bob)))
    first, second, _ = sealed(many(), str(ann.key))
    assert reader.read(first)[1] == "ann@example.org"
    allowed_signers(tmp_path, bob)
    with pytest.raises(NotStartedError, match="does not know"):
        reader.read(second)


def test_without_signers_anybody_may_ask(tmp_path: Path) -> None:
    (message,) = sealed([ORDER], "")
    assert SealReader("").read(message) == (ORDER, "")
