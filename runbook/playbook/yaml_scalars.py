"""Plain YAML scalars by YAML 1.2's core schema. What YAML 1.1 readers would take for something else is refused."""

from __future__ import annotations

import re
from functools import lru_cache

MAX_INT = 2**63 - 1
"""Far above any count, and it fits the machine word of whatever reads the journal."""
MAX_FLOAT = 1e308
MAX_NUMBER = 100
"""Characters. Longer text is no number, whatever its signs."""

_CONSTANTS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_YAML_1_1_TRUE = frozenset({"y", "yes", "on"})
_YAML_1_1_FALSE = frozenset({"n", "no", "off"})
_NUMERIC_START = frozenset("0123456789+-.")
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9_]+")
_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt \t].*)?")
_UNDERSCORES = re.compile(r"[-+]?(?:0x|0b)?[0-9a-fA-F]*_[0-9a-fA-F_]*(?:\.[0-9_]*)?")
_BINARY = re.compile(r"[-+]?0b[01_]+")
_NOT_A_NUMBER = re.compile(r"(?:[-+]?\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)")


class ScalarError(ValueError):
    """A plain scalar that is not used, mostly as YAML readers do not agree about it: why, and what to write instead."""

    def __init__(self, why: str, advice: str) -> None:
        super().__init__(why)
        self.advice = advice


@lru_cache(maxsize=1024)  # a file has few words, many times
def parse_scalar(text: str) -> object:
    """The value of an unquoted scalar: None, bool, int, float or str.

    Raises:
        ScalarError: YAML readers do not agree about it, or the number is too large.
    """
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] in _NUMERIC_START:
        return _parse_number(text) if len(text) <= MAX_NUMBER else text
    lower = text.lower()
    if lower in _YAML_1_1_TRUE:
        raise _ambiguous(text, "true", "a string", "true, or ")
    if lower in _YAML_1_1_FALSE:
        raise _ambiguous(text, "false", "a string", "false, or ")
    return text


def _parse_number(text: str) -> object:
    """The number, or the text itself where it is none."""
    _refuse_yaml_1_1_numbers(text)
    if _INT.fullmatch(text):
        number: float = int(text, 0 if text[:2] in ("0o", "0x") else 10)
        largest: float = MAX_INT
    elif _FLOAT.fullmatch(text):
        number, largest = float(text), MAX_FLOAT
    else:
        return text
    if abs(number) > largest:
        raise ScalarError("this number is too large", f"the largest is {largest}")
    return number


def _refuse_yaml_1_1_numbers(text: str) -> None:
    if _LEADING_ZERO.fullmatch(text):
        raise _ambiguous(text, "octal", "decimal", f"{int(text.replace('_', ''), 10)}, or ")
    if _SEXAGESIMAL.fullmatch(text):
        raise _ambiguous(text, "a number in base 60", "a string")
    if _DATE.fullmatch(text):
        raise _ambiguous(text, "a date", "a string")
    if _BINARY.fullmatch(text) or (_UNDERSCORES.fullmatch(text) and text.strip("+-_.")):
        raise _ambiguous(text, "a number", "a string", "the plain number, or ")
    if _NOT_A_NUMBER.fullmatch(text):
        raise ScalarError(f"{text} is not a finite number", "write a finite one")


def _ambiguous(text: str, to_some: str, to_others: str, instead: str = "") -> ScalarError:
    why = f"unquoted {text} is {to_some} to some YAML readers and {to_others} to others"
    return ScalarError(why, f'write {instead}"{text}"')
