"""Plain YAML scalars by YAML 1.2's core schema. What YAML 1.1 readers would take for something else is refused."""

from __future__ import annotations

import re

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
_OLD_TRUE = frozenset({"y", "yes", "on"})
_OLD_FALSE = frozenset({"n", "no", "off"})
_NUMERIC_START = frozenset("0123456789+-.")
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9_]+")
_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt \t].*)?")
_UNDERSCORES = re.compile(r"[-+]?(?:0x|0b)?[0-9a-fA-F]*_[0-9a-fA-F_]*(?:\.[0-9_]*)?")
_BINARY = re.compile(r"[-+]?0b[01_]+")
_NOT_A_NUMBER = re.compile(r"(?:[-+]?\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)")


class SurpriseError(ValueError):
    """A plain scalar that YAML readers do not agree about: why, and the advice what to write for a value."""

    def __init__(self, why: str, advice: str) -> None:
        super().__init__(why)
        self.advice = advice


def resolve(text: str) -> object:
    """The value of an unquoted scalar: None, bool, int, float or str. Raises :class:`SurpriseError`."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] in _NUMERIC_START:
        return _number_or_text(text)
    _refuse_old_bool(text)
    return text


def _refuse_old_bool(text: str) -> None:
    lower = text.lower()
    if lower in _OLD_TRUE or lower in _OLD_FALSE:
        value = "true" if lower in _OLD_TRUE else "false"
        raise _surprise(text, value, "text", f"{value}, or ")


def _surprise(text: str, to_some: str, to_others: str, write: str = "") -> SurpriseError:
    why = f"unquoted {text} is {to_some} to some YAML readers and {to_others} to others"
    return SurpriseError(why, f'write {write}"{text}"')


def _number_or_text(text: str) -> object:
    if len(text) > MAX_NUMBER:
        return text
    _refuse_old_numbers(text)
    if _INT.fullmatch(text):
        return _integer(text)
    if _FLOAT.fullmatch(text):
        return _finite(text)
    return text


def _integer(text: str) -> int:
    number = int(text, 0 if text[:2] in ("0o", "0x") else 10)
    if abs(number) > MAX_INT:
        raise SurpriseError("this number is too large", f"the largest is {MAX_INT}")
    return number


def _finite(text: str) -> float:
    number = float(text)
    if abs(number) > MAX_FLOAT:
        raise SurpriseError("this number is too large", f"the largest is {MAX_FLOAT}")
    return number


def _refuse_old_numbers(text: str) -> None:
    if _LEADING_ZERO.fullmatch(text):
        raise _surprise(text, "octal", "decimal", f"{int(text.replace('_', ''), 10)}, or ")
    if _SEXAGESIMAL.fullmatch(text):
        raise _surprise(text, "a number in base 60", "text")
    if _DATE.fullmatch(text):
        raise _surprise(text, "a date", "text")
    if _BINARY.fullmatch(text) or (_UNDERSCORES.fullmatch(text) and text.strip("+-_.")):
        raise _surprise(text, "a number", "text", "the plain number, or ")
    if _NOT_A_NUMBER.fullmatch(text):
        raise SurpriseError(f"{text} is not a finite number", "a playbook has no use for it")
