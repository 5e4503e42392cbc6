"""Whatever the input, nothing but our own errors comes out."""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from runbook.errors import ExpressionError, PlaybookError
from runbook.playbook.expressions.evaluate import evaluate
from runbook.playbook.expressions.functions import FUNCTIONS
from runbook.playbook.expressions.model import UNKNOWN
from runbook.playbook.params import read_params_file
from runbook.playbook.parser import parse_playbook
from runbook.steps.registry import CATALOG
from tests.playbook.cases import BAD, GOOD, expression
from tests.playbook.fuzzing import EXAMPLES, FUZZ, in_time

SEEDS = [path.read_bytes() for path in (*GOOD, *BAD)]
PIECES = [
    *"""
    params dead item later .peers .count [0] ['id'] ( ) [ ] , + - * / // % < <= == != 1 2.5 'a' true null
    len( min( any( map( outcome( steps.dead secrets.token result loop.index run.outcome ** lambda: é @ # \\ .
    __class__ f'{1}' 9**9 'a'*9 := { } 'a': && || ! = ? "
""".split(),
    *(f"{name}(" for name in FUNCTIONS),
    *(" for x in ", " for item in dead.peers", "[x ", "x.id", " for x in x"),
    *(" and ", " or ", "not ", " in ", " not in ", " if ", " else ", "\n", " "),
]
SCOPE: dict[str, Any] = {
    "params": {"count": 1},
    "dead": {"peers": [{"id": "a"}], "count": 1},
    "item": {"id": "a"},
    "later": UNKNOWN,
    "secrets": {"token": "t"},
    "outcomes": {"dead": "success", "later": UNKNOWN},
    "loop": {"index": 1},
    "result": UNKNOWN,
}
WORDS = st.sampled_from(
    """
    id uses with if for_each retry raft.find_dead raft.remove_peer looks x params steps guards type int default on
    ${{dead.peers}} ${{ 30s until every within assert else timeout continue_on_failure undo show on_failure finally
    secrets env:A pattern a+ effect read http.request url https://a.b cooldown ${{secrets.x}} result.count>1 outcome(x)
    parallel 7d wait.for_port file.prune command.run shell ${{params.x}}s item!=1 [x.id${{ times wait 1s..${{params.x}}
    """.split()
)
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=8),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(WORDS, children, max_size=4),
    max_leaves=12,
)

SECTIONS = st.sampled_from("params guards steps name runbook secrets on_failure finally".split())


def parses_or_is_refused(data: bytes) -> None:
    def work() -> None:
        with contextlib.suppress(PlaybookError):
            parse_playbook(data, "playbook.yaml", CATALOG)

    in_time(work)


@FUZZ
@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    """A binary named by mistake is refused like any other file."""
    parses_or_is_refused(data)


@FUZZ
@given(st.text(max_size=300))
def test_any_text(text: str) -> None:
    """So is any text, with characters that cannot even be encoded."""
    parses_or_is_refused(text.encode("utf-8", "surrogatepass"))


@FUZZ
@given(st.text(alphabet="-:{}[]?|>&*!%#@'\"`$ \n\tax1,", max_size=60))
def test_any_punctuation(text: str) -> None:
    """YAML's own signs in any order."""
    parses_or_is_refused(text.encode())


@FUZZ
@given(st.sampled_from(SEEDS), st.integers(0, 2_000), st.integers(0, 60), st.sampled_from(SEEDS), st.integers(0, 2_000))
def test_any_splice_of_real_playbooks(data: bytes, at: int, cut: int, other: bytes, begin: int) -> None:
    """A torn edit: something cut out, something of another file put in."""
    parses_or_is_refused(data[:at] + other[begin : begin + 40] + data[at + cut :])


@FUZZ
@given(st.dictionaries(SECTIONS, TREES, max_size=5))
def test_any_tree_in_the_place_of_a_section(tree: dict[str, Any]) -> None:
    """JSON is YAML, so any data can stand anywhere."""
    import json

    parses_or_is_refused(json.dumps({"runbook": 1, "name": "x", **tree}).encode())


@FUZZ
@given(st.lists(st.dictionaries(WORDS, TREES, max_size=6), max_size=3), st.lists(TREES, max_size=2))
def test_any_steps(steps: list[Any], handlers: list[Any]) -> None:
    """Steps of any words, some of them good, in all three lists."""
    import json

    good = [{"id": "dead", "uses": "raft.find_dead"}]
    tree = {"runbook": 1, "name": "x", "secrets": {"x": "env:A"}, "steps": good + steps, "finally": handlers}
    parses_or_is_refused(json.dumps(tree).encode())


@FUZZ
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_params_file(data: bytes) -> None:
    """It is read by the same rules."""

    def work() -> None:
        with contextlib.suppress(PlaybookError):
            read_params_file(data, "params.yaml")

    in_time(work)


@FUZZ
@given(st.text(max_size=120))
def test_any_text_as_an_expression(text: str) -> None:
    """Parsed or refused with our own error."""
    evaluates_or_is_refused(text)


@FUZZ
@given(st.lists(st.sampled_from(PIECES), max_size=14))
def test_any_pieces_of_the_language_as_an_expression(pieces: list[str]) -> None:
    """What parses can be evaluated, and fails with a sentence if it fails."""
    evaluates_or_is_refused("".join(pieces))


ATOMS = st.sampled_from(
    "params.count dead dead.peers dead.count later result.count loop.index 0 2 2.5 'a' '' true null [] [1]".split()
)
OPERATORS = st.sampled_from(["+", "-", "*", "/", "//", "%", "<", "<=", "==", "!=", "in", "not in", "and", "or"])
WHOLE = st.recursive(
    ATOMS,
    lambda parts: (
        st.tuples(parts, OPERATORS, parts).map(lambda each: f"({' '.join(each)})")
        | st.tuples(parts, parts, parts).map(lambda each: f"({each[0]} if {each[1]} else {each[2]})")
        | st.tuples(st.sampled_from("len any all min max not".split()), parts).map(
            lambda each: f"({each[0]}({each[1]}))"
        )
        | st.tuples(parts, parts).map(lambda each: f"[{each[0]}, {each[1]}]")
        | st.tuples(parts, parts).map(lambda each: f"{each[0]}[{each[1]}]")
    ),
    max_leaves=8,
)


def test_any_whole_expression() -> None:
    """What an author might write: most of it can be evaluated, on values and on what is not known yet."""
    evaluated = []

    @FUZZ
    @given(WHOLE)
    def each(text: str) -> None:
        evaluated.append(evaluates_or_is_refused(text))

    each()
    assert sum(evaluated) > EXAMPLES // 4


def evaluates_or_is_refused(text: str) -> bool:
    """Whether it was evaluated to the end."""
    over = []

    def work() -> None:
        with contextlib.suppress(PlaybookError, ExpressionError):
            over.append(evaluate(expression(text), SCOPE))

    in_time(work)
    return bool(over)
