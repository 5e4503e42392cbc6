"""What an expression cannot hold, reported at its column."""

from __future__ import annotations

import pytest

from runbook.errors import Diagnostic, PlaybookError
from tests.playbook.cases import expression


def diagnostics_of(text: str) -> tuple[Diagnostic, ...]:
    with pytest.raises(PlaybookError) as caught:
        expression(text)
    return caught.value.diagnostics


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", 9, "an expression is missing here"),
        ("1 + ", 9, "not a valid expression"),
        ("a b", 11, "not a valid expression"),
        ("(" * 500, None, "not a valid expression"),
        ("-" * 900 + "1", None, "too large"),
        ("not " * 41 + "true", None, "too large"),
        ("[" + "1," * 200 + "]", None, "too large"),
        ("1" * 1001, 9, "may have 1,000 characters; this one has 1,001"),
        ("a = 1", 11, '"=" is not'),
        ("(a := 1)", 10, '":=" is not'),
        ("a := 1", 12, '"=" is not'),
        ("a && b", 11, '"&&" is not'),
        ("a || b", 11, '"||" is not'),
        ("!a", 9, '"!" is not'),
        ("a is None", 9, '"is" is not'),
        ("a is not None", 9, '"is not" is not'),
        ("2 ** 3", 9, '"**" is not'),
        ("a | b", 9, '"|" is not'),
        ("a @ b", 9, '"@" is not'),
        ("1 << 3", 9, '"<<" is not'),
        ("~1", 9, '"~" is not'),
        ("{1: 2}", 9, "a mapping is not"),
        ("{1, 2}", 9, "a set is not"),
        ("(1, 2)", 9, "a tuple is not"),
        ("f'{a}'", 9, "an f-string is not"),
        ("lambda: 1", 9, '"lambda" is not'),
        ("[x for x in a]", 9, '"for ... in" is not'),
        ("(x for x in a)", 9, '"for ... in" is not'),
        ("b'x'", 9, "this is not part"),
        ("1j", 9, "this is not part"),
        ("...", 9, "this is not part"),
        ("a[1:2]", 9, "slices are not"),
        ("a[1, 2]", 9, "slices are not"),
        ("len(*a)", 13, '"*" is not'),
        ("len()", 9, "len takes one argument"),
        ("len(a, b)", 9, "len takes one argument"),
        ("min()", 9, "min takes one argument or more"),
        ("sorted(a, reverse=true)", 9, "sorted takes one argument"),
        ("sorted(a, **b)", 9, "sorted takes one argument"),
        ("a.b()", 9, "only functions can be called"),
        ("a()()", 9, "only functions can be called"),
        ("open('x')", 9, 'there is no function "open"'),
        ("__import__('os')", 9, 'there is no function "__import__"'),
        ("steps", 9, '"steps" needs the id'),
        ("steps[a]", 9, '"steps" needs the id'),
        ("9" * 40, 9, "this number is too large"),
        ("1e999", 9, "this number is too large"),
        ("1 # one", 11, "cannot hold a comment"),
        ("é + 2 ** 2", 13, '"**" is not'),
        ("   2 ** 2", 12, '"**" is not'),
        ("yield 1", None, ""),
        ("await a", None, ""),
        ("\0", None, ""),
        ("\ud800", None, ""),
    ],
)
def test_what_an_expression_cannot_hold(text: str, column: int | None, message: str) -> None:
    """Everything of Python that is not in the language is reported at its column."""
    diagnostic = diagnostics_of(text)[0]
    assert message in diagnostic.message
    assert column is None or diagnostic.mark.column == column
    assert diagnostic.mark.line == 3


def test_every_error_of_an_expression_is_reported() -> None:
    """Each with its own column, and the word to write."""
    found = {
        (diagnostic.mark.column, diagnostic.suggestion)
        for diagnostic in diagnostics_of("lenn(a) > 2 and (b is 3 or c | d)")
    }
    assert found == {(9, 'Did you mean "len"?'), (26, 'Write "==".'), (36, 'Write "or".')}
