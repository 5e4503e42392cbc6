"""Patterns of params mean what they mean in Python's ``re``, and cannot hang."""

from __future__ import annotations

import contextlib
import re
import time
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbook.playbook.patterns import MAX_MATCHED, MAX_PATTERN, MAX_WORK, compile_pattern
from tests.playbook.fuzzing import EXAMPLES, FUZZ

PIECES = st.sampled_from(
    [
        *"ab0-_.|()*+?[]{}^$\\,19",
        "(?:",
        "[a-b]",
        "[^a]",
        "[[",
        "[]",
        "--",
        "&&",
        "||",
        "[-",
        "-]",
        "\\d",
        "\\w",
        "\\.",
        "{2}",
        "{1,3}",
        "{,2}",
    ]
)
TEXTS = ["", "a", "b", "ab", "aab", "abab", "a.b", "0", "a0", "a-b", "aaaa", "ba", "\n", "a\n", "é", "}", "a{2}"]


def test_a_pattern_means_what_it_means_in_python() -> None:
    """The one obvious second way to compute it, for the many of these that are patterns."""
    compiled = []

    @FUZZ
    @given(st.lists(PIECES, max_size=8).map("".join))
    def means_the_same(pattern: str) -> None:
        try:
            ours = compile_pattern(pattern)
        except ValueError:
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = re.compile(pattern, re.ASCII)
        for text in TEXTS:
            assert ours(text) is (theirs.fullmatch(text) is not None), (pattern, text)
        compiled.append(pattern)

    means_the_same()
    assert len(compiled) > EXAMPLES // 8


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("(a+)+b", "a" * 1000),
        ("(a|a)*b", "a" * 1000),
        ("(a|aa)+$", "a" * 999 + "b"),
        ("(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)x", "y" * 1000),
        ("(a?){150}a{150}", "a" * 200),
        ("(((a{0,5}){0,5}){0,5})b", "a" * 1000),
    ],
)
def test_a_pattern_that_makes_others_hang_is_quick(pattern: str, text: str) -> None:
    """Python's ``re`` would take years for some of these."""
    begun = time.process_time()
    with contextlib.suppress(ValueError):  # too many ways
        compile_pattern(pattern)(text)
    assert time.process_time() - begun < 1.0


@pytest.mark.parametrize("pattern", ["(((()*){400}){400}){400}", "(((){500}){500}){500}", "(" * 30 + ")" * 30])
def test_a_pattern_of_nothing_is_quick(pattern: str) -> None:
    """Repetitions of nothing are not written out."""
    begun = time.process_time()
    with contextlib.suppress(ValueError):
        compile_pattern(pattern)("")
    assert time.process_time() - begun < 1.0


def test_the_limits_are_where_they_are_said_to_be() -> None:
    """Of the pattern, and of the text, which does not match any more."""
    assert compile_pattern("a" * MAX_PATTERN)("a" * MAX_PATTERN)
    with pytest.raises(ValueError, match="it may have 200 characters"):
        compile_pattern("a" * (MAX_PATTERN + 1))
    assert compile_pattern("a*")("a" * MAX_MATCHED)
    assert not compile_pattern("a*")("a" * (MAX_MATCHED + 1))


def test_a_text_with_too_many_ways_is_refused_and_not_called_unlike() -> None:
    """Whether it matches is not known, so neither is said."""
    matches = compile_pattern("([ab]*a){100}[ab]{50}")
    with pytest.raises(ValueError, match="too many ways"):
        matches(f"{3**600:b}".translate({ord("0"): "a", ord("1"): "b"}))
    assert not matches("c")


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*", ("a" * 30 + "-b.") * 7 + "x"),
        ("https?://[a-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~-]*)*", "https://vault.example.org:8200/" + "abc/def_x/" * 90),
        ("[A-Za-z0-9+/=_-]{1,400}", "aZ9_" * 100),
        (".*(prod|staging).*", "x" * 480 + "prod" + "y" * 480),
        (r"10(\.\d{1,3}){3}(/\d{1,2})?(,10(\.\d{1,3}){3}(/\d{1,2})?)*", ",".join(f"10.1.{n}.9/24" for n in range(70))),
    ],
)
def test_patterns_of_real_playbooks_are_far_from_the_limit(
    pattern: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names, URLs, tokens, lists of networks: half of the work that is allowed is enough for the longest."""
    monkeypatch.setattr("runbook.playbook.patterns.MAX_WORK", MAX_WORK // 2)
    assert compile_pattern(pattern)(text)
