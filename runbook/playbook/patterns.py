"""Patterns of params: a subset of regular expressions that no text can make hang.

Python's ``re`` backtracks, and some short patterns (``(a+)+b``) then take years on a short text. Here a pattern becomes
a nondeterministic finite automaton (Thompson's construction) and all its ways are followed at once: the time is at most
the length of the text times the size of the pattern. The price is that there are no back references and no lookaround;
a pattern describes the whole text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple, TypeAlias

MAX_PATTERN = 200
"""Characters of a pattern."""
MAX_STATES = 1000
"""Size of a pattern once ``{2,5}`` is written out."""
MAX_NESTED = 20
MAX_MATCHED = 1000
"""Characters of a text that is matched; a longer one never matches."""
MAX_WORK = 5_000
"""States visited for one text: a millisecond, as a file may hold thousands of texts. Patterns in use need hundreds."""

Matches = Callable[[str], bool]

# An automaton: of each state the character test that leads on to the next one (None: no character is used up), and
# where it leads. The last state is the end.
_Automaton = list[tuple["Matches | None", tuple[int, ...]]]
_COUNT = re.compile(r"\{(\d{1,4})(?:(,)(\d{0,4}))?\}")
_ESCAPED = frozenset("dDwWsS")


def compile_pattern(text: str) -> Matches:
    """A function that says whether a whole text matches. Raises ``ValueError`` with what is wrong with the pattern."""
    if len(text) > MAX_PATTERN:
        raise ValueError(f"it may have {MAX_PATTERN} characters")
    return _compiled(text)


@lru_cache(maxsize=64)
def _compiled(text: str) -> Matches:
    parser = _Parser(text.removeprefix("^").removesuffix("$") if not text.endswith("\\$") else text.removeprefix("^"))
    automaton: _Automaton = []
    _add_states(parser.whole(), automaton)
    automaton.append((None, ()))
    return lambda given: _match(automaton, given)


class _Character(NamedTuple):
    expression: str


class _Sequence(NamedTuple):
    items: list[_Node]


class _Choice(NamedTuple):
    branches: list[_Node]


class _Repeat(NamedTuple):
    item: _Node
    low: int
    high: int | None


_Node: TypeAlias = "_Character | _Sequence | _Choice | _Repeat"


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def whole(self) -> _Node:
        tree = self._choice()
        if self._at < len(self._text):
            raise ValueError('there is a ")" without its "("')
        return tree

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _choice(self) -> _Node:
        self._depth += 1
        if self._depth > MAX_NESTED:
            raise ValueError("its groups are nested too deeply")
        branches = [self._sequence()]
        while self._peek() == "|":
            self._at += 1
            branches.append(self._sequence())
        self._depth -= 1
        return _Choice(branches)

    def _sequence(self) -> _Node:
        items = []
        while self._peek() not in ("", "|", ")"):
            items.append(self._repeated(self._single()))
        return _Sequence(items)

    def _repeated(self, item: _Node) -> _Node:
        sign = self._peek()
        count = _COUNT.match(self._text, self._at)
        if sign and sign in "*+?":
            self._at += 1
            low, high = {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
        elif count:
            self._at = count.end()
            low = int(count[1])
            high = low if not count[2] else int(count[3]) if count[3] else None
        else:
            return item
        if self._peek() and self._peek() in "*+?{":
            raise ValueError("a repetition cannot be repeated; put it in ( )")
        if high is not None and low > high:
            raise ValueError("a repetition must go from the smaller number to the larger")
        return _Repeat(item, low, high)

    def _single(self) -> _Node:
        character = self._peek()
        self._at += 1
        if character == "(":
            return self._group()
        if character == "[":
            return _Character(self._class())
        if character == "\\":
            return _Character(self._escape())
        if character in "*+?{":
            raise ValueError(f'"{character}" has nothing before it to repeat; write \\{character} for the sign itself')
        if character in "^$":
            raise ValueError(
                f'"{character}" is possible only at its begin or end; write \\{character} for the sign itself'
            )
        return _Character("." if character == "." else re.escape(character))

    def _group(self) -> _Node:
        if self._peek() == "?":
            if self._text[self._at : self._at + 2] != "?:":
                raise ValueError('groups that begin with "(?" are not possible, but (?: ) is')
            self._at += 2
        tree = self._choice()
        if self._peek() != ")":
            raise ValueError('a "(" is never closed')
        self._at += 1
        return tree

    def _class(self) -> str:
        begin = self._at - 1
        self._at += self._peek() == "^"
        self._at += self._peek() == "]"
        while self._peek() != "]":
            if not self._peek():
                raise ValueError('a "[" is never closed')
            if self._peek() == "\\":
                self._at += 1
                self._escape()
            elif self._text.startswith(("[", "--", "&&", "||", "~~"), self._at):
                raise ValueError(r'inside [ ] write \[ for "[", and a doubled sign with \ before it')
            else:
                self._at += 1
        self._at += 1
        return self._text[begin : self._at]

    def _escape(self) -> str:
        character = self._peek()
        self._at += 1
        if not character:
            raise ValueError(r"it ends with a single \ ")
        if character.isalnum() and character not in _ESCAPED:
            raise ValueError(rf'"\{character}" is not possible; there are \d \w \s \D \W \S, and \ before a sign')
        return f"\\{character}"


def _add_states(tree: _Node, automaton: _Automaton) -> None:
    """Append the states of ``tree``; what comes next begins where they end."""
    if len(automaton) > MAX_STATES:
        raise ValueError("it is too large once its repetitions are written out")
    if isinstance(tree, _Character):
        automaton.append((_character_test(tree.expression), (len(automaton) + 1,)))
    elif isinstance(tree, _Sequence):
        for item in tree.items:
            _add_states(item, automaton)
    elif isinstance(tree, _Choice):
        _add_choice(tree.branches, automaton)
    else:
        _add_repeat(tree, automaton)


def _add_choice(branches: list[_Node], automaton: _Automaton) -> None:
    ends = []
    for branch in branches[:-1]:
        fork = len(automaton)
        automaton.append((None, ()))
        _add_states(branch, automaton)
        ends.append(len(automaton))
        automaton.append((None, ()))
        automaton[fork] = (None, (fork + 1, len(automaton)))
    _add_states(branches[-1], automaton)
    for end in ends:
        automaton[end] = (None, (len(automaton),))


def _add_repeat(tree: _Repeat, automaton: _Automaton) -> None:
    item, low, high = tree
    for _ in range(low):
        before = len(automaton)
        _add_states(item, automaton)
        if len(automaton) == before:  # nothing, however often
            break
    if high is None:
        fork = len(automaton)
        automaton.append((None, ()))
        _add_states(item, automaton)
        automaton.append((None, (fork,)))
        automaton[fork] = (None, (fork + 1, len(automaton)))
        return
    forks = []
    for _ in range(high - low):
        forks.append(len(automaton))
        automaton.append((None, ()))
        _add_states(item, automaton)
    for fork in forks:
        automaton[fork] = (None, (fork + 1, len(automaton)))


@lru_cache(maxsize=256)
def _character_test(one: str) -> Matches:
    try:
        matcher = re.compile(one, re.ASCII).fullmatch
    except re.error:
        raise ValueError(f"[ ] holds a range that runs backwards: {one}") from None
    return lambda character: matcher(character) is not None


def _match(automaton: _Automaton, given: str) -> bool:
    """Whether ``given`` leads from the first state to the last. Raises ValueError beyond :data:`MAX_WORK`.

    Where a pattern leads from the same states by the same character again, the way is known: in use that is nearly
    always so, and the work is a dozen states for each character of the pattern.
    """
    if len(given) > MAX_MATCHED:
        return False
    moves: dict[tuple[frozenset[int], str], frozenset[int]] = {}
    states = _epsilon_closure(automaton, {0})
    kept = {states: states}  # one object for equal sets, as comparing two takes as long as making one
    work = len(states)
    for character in given:
        if (states, character) not in moves:
            after = _advance(automaton, states, character)
            moves[states, character] = kept.setdefault(after, after)
            work += len(states) + len(after)
            if work > MAX_WORK:
                raise ValueError("there are too many ways to match it")
        states = moves[states, character]
    return len(automaton) - 1 in states


def _advance(automaton: _Automaton, states: frozenset[int], character: str) -> frozenset[int]:
    """The states after ``character``."""
    tried: dict[Matches, bool] = {}
    moved: set[int] = set()
    for state in states:
        test, after = automaton[state]
        if test is None:
            continue
        if test not in tried:
            tried[test] = test(character)
        if tried[test]:
            moved.update(after)
    return _epsilon_closure(automaton, moved)


def _epsilon_closure(automaton: _Automaton, begin: set[int]) -> frozenset[int]:
    """Every state that can be reached from ``begin`` without using up a character."""
    pending, reached = list(begin), set(begin)
    while pending:
        test, after = automaton[pending.pop()]
        if test is None:
            new = set(after) - reached
            reached |= new
            pending += new
    return frozenset(reached)
