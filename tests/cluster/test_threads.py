"""Work with a time limit, and much work at once: errors come back, and nothing waits for what hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

import pytest

from runbook.cluster.threads import gather, within


def test_a_result_and_an_error_come_back() -> None:
    """As if the work had been called here."""
    assert within(5, lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 // 0)


def test_none_is_a_result_too() -> None:
    """Not to be taken for silence."""
    assert within(5, lambda: None) is None


def test_what_hangs_is_left_behind() -> None:
    """At its limit and not later."""
    free, began = threading.Event(), time.monotonic()
    with pytest.raises(TimeoutError):
        within(0.05, lambda: free.wait(5))
    assert time.monotonic() - began < 1
    free.set()


def test_answers_lead_to_more_questions_while_others_are_awaited() -> None:
    """A chain of five is done although the first key hangs; the order is that of asking."""
    free = threading.Event()

    def ask(key: int) -> int:
        if key == 0:
            free.wait(5)
        return key

    def follow(answer: int) -> Iterable[int]:
        return [answer + 1, answer + 1, 1] if 0 < answer < 5 else []

    assert gather([0, 1], ask, follow, 0.3) == {0: None, 1: 1, 2: 2, 3: 3, 4: 4, 5: 5}
    free.set()


def test_a_key_that_is_named_twice_is_asked_and_awaited_once() -> None:
    """Waiting for an answer that nobody gives would cost the whole limit."""
    began = time.monotonic()
    assert gather(["a"], lambda key: key, lambda key: ["b", "b"] if key == "a" else ["a"], 5) == {"a": "a", "b": "b"}
    assert time.monotonic() - began < 1


def test_nothing_to_ask_takes_no_time() -> None:
    """No key, no wait."""
    began = time.monotonic()
    assert gather([], lambda key: key, lambda _: [], 5) == {}
    assert time.monotonic() - began < 1


def test_an_error_in_one_of_many_is_told() -> None:
    """A defect must not look like a server that is silent."""
    with pytest.raises(ZeroDivisionError):
        gather([1, 0], lambda key: 1 // key, lambda _: [], 5)


def test_threads_are_used_again_but_for_those_that_hang() -> None:
    """A look asks a dozen questions, and starting a thread costs as much as asking one; who hangs gets no more work."""
    free, hung = threading.Event(), list[threading.Thread]()

    def hang() -> None:
        hung.append(threading.current_thread())
        free.wait(5)

    with pytest.raises(TimeoutError):
        within(0.05, hang)
    hands = {within(5, threading.current_thread) for _ in range(100)}
    free.set()
    assert len(hands) < 10
    assert hung[0] not in hands
