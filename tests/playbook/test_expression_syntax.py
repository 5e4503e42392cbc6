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
        ("1 + ", 11, 'a value is missing after "+"'),
        ("1 + * 2", 13, 'a value is missing between "+" and "*"'),
        ("== 2", 9, 'a value is missing before "=="'),
        ("a b", 11, 'nothing joins "a" and "b"'),
        ("a 'b'", 11, "nothing joins"),
        ("a and", 11, 'a value is missing after "and"'),
        ("not", 9, 'a value is missing after "not"'),
        ("a.", 10, 'a value is missing after "."'),
        ("a if b", 11, '"if" needs "else" here'),
        ("(1 + 2", 9, '"(" is never closed'),
        ("len(dead.peers > 0", 12, '"(" is never closed'),
        ("[1, (2]", 15, '"]" does not close the "("'),
        ("1 + 2)", 14, '")" closes nothing'),
        ("a == 'b", 14, "the text that begins with ' here is never closed"),
        ("(" * 500, None, '"(" is never closed'),
        ("'&&' && b", 14, '"&&" is not'),
        ("a ? b : c", 11, '"?" is not'),
        ("a AND b", 11, '"AND" is not'),
        ("a <> b", 11, '"<>" is not'),
        ("\\", 9, "not a valid expression"),
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
        ("{**a}", 9, '"**" is not'),
        ("{a: 1 for a in b}", 9, '"for ... in" in braces is not'),
        ("{a for a in b}", 9, '"for ... in" in braces is not'),
        ("[x for x, y in a]", 9, 'one name stands between "for" and "in"'),
        ("{1, 2}", 9, "a set is not"),
        ("(1, 2)", 9, "a tuple is not"),
        ("f'{a}'", 9, "an f-string is not"),
        ("lambda: 1", 9, '"lambda" is not'),
        ("b'x'", 9, "this is not part"),
        ("1j", 9, "this is not part"),
        ("...", 9, "this is not part"),
        ("a[1:2]", 9, "slices are not"),
        ("a[1, 2]", 9, "slices are not"),
        ("len(*a)", 13, '"*" is not'),
        ("len()", 9, "len takes one argument"),
        ("len(a, b)", 9, "len takes one argument"),
        ("min()", 9, "min takes one argument or more"),
        ("split()", 9, "split takes 1 or 2 arguments"),
        ("replace(a, b)", 9, "replace takes 3 arguments"),
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


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("a = 1", 'Write "==".'),
        ("a && b", 'Write "and".'),
        ("!a", 'Write "not".'),
        ("a ? b : c", "Write yes if condition else no."),
        ("(a", 'Add ")".'),
        ("(a]", 'Write ")" before it.'),
        ("map(a, lambda p: p.id)", "Write a list: [peer.id for peer in dead.peers if peer.voter]."),
        ("result.stdout.strip()", "Write trim(…) around what is before the dot."),
        ("name.startsWith('a')", "Write startswith(…) around what is before the dot."),
        ("peers | length", "Write len(…) around what is before it."),
        ("a | default('b')", "Write default(…) around what is before it."),
        ("(1, 2)", "Write a list: [a, b]."),
    ],
)
def test_what_was_probably_meant(text: str, meant: str) -> None:
    """By somebody who knows another language."""
    assert diagnostics_of(text)[0].suggestion == meant
