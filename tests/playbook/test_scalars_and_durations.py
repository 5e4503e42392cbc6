"""What plain YAML scalars and durations mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbook.playbook.types import MAX_DURATION, format_duration, parse_duration
from runbook.playbook.yaml_scalars import ScalarError, parse_scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("True", True),
        ("false", False),
        ("0", 0),
        ("-12", -12),
        ("+12", 12),
        ("0x1F", 31),
        ("0o17", 15),
        ("0.5", 0.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("-1.5E-3", -0.0015),
        ("30s", "30s"),
        ("1s..30s", "1s..30s"),
        ("127.0.0.1:4647", "127.0.0.1:4647"),
        ("1.2.3", "1.2.3"),
        ("-", "-"),
        ("+_", "+_"),
        ("nope", "nope"),
        ("one", "one"),
        ("9" * 101, "9" * 101),
    ],
)
def test_a_plain_scalar_by_yaml_1_2(text: str, value: object) -> None:
    """The core schema, and nothing else."""
    assert parse_scalar(text) == value
    assert type(parse_scalar(text)) is type(value)


@pytest.mark.parametrize(
    "text", ["y", "Y", "n", "yes", "No", "ON", "off", "oN", "012", "-00", "0_1", "22:30", "1:2:3.5"]
)
@pytest.mark.parametrize("more", [""])
def test_a_plain_scalar_that_readers_disagree_about(text: str, more: str) -> None:
    """YAML 1.1 has another idea of these, and the file must mean one thing to all."""
    with pytest.raises(ScalarError, match="to some YAML readers"):
        parse_scalar(text + more)


@pytest.mark.parametrize("text", ["2024-01-02", "2024-1-2", "2024-01-02 03:04:05", "1_000", "0b1", "0x_1", "1_0.5"])
def test_dates_and_decorated_numbers(text: str) -> None:
    """Dates become objects and underscores vanish in YAML 1.1."""
    with pytest.raises(ScalarError, match="to some YAML readers"):
        parse_scalar(text)


@pytest.mark.parametrize("text", [".inf", "-.Inf", ".NaN", "9223372036854775808", "0xfffffffffffffffff", "1e309"])
def test_numbers_beyond_use(text: str) -> None:
    """A journal could not hold them."""
    with pytest.raises(ScalarError):
        parse_scalar(text)


@pytest.mark.parametrize(
    ("text", "seconds", "canonical"),
    [
        ("500ms", 0.5, "500ms"),
        ("30s", 30.0, "30s"),
        ("1.5s", 1.5, "1.5s"),
        ("90s", 90.0, "1m30s"),
        ("5m", 300.0, "5m"),
        ("1h", 3600.0, "1h"),
        ("1h30m", 5400.0, "1h30m"),
        ("1h0m1s500ms", 3601.5, "1h1.5s"),
        ("7d", 604800.0, "7d"),
        ("1d12h", 129600.0, "1d12h"),
        ("48h", 172800.0, "2d"),
        ("0s", 0.0, "0s"),
        (" 2s ", 2.0, "2s"),
    ],
)
def test_a_duration_is_read_and_written(text: str, seconds: float, canonical: str) -> None:
    """The shortest form is written."""
    assert parse_duration(text) == seconds
    assert format_duration(seconds) == canonical


@pytest.mark.parametrize(
    "text", ["", "s", "5", "5 s", "-5s", "5S", "1m1h", "1h1d", "1e3s", "٣s", "1.5h", "inf", "9" * 10 + "s"]
)
def test_what_is_no_duration(text: str) -> None:
    """A unit is never guessed."""
    with pytest.raises(ValueError, match="a duration is written like 500ms, 30s, 5m, 1h or 7d"):
        parse_duration(text)


def test_a_duration_has_an_end() -> None:
    """No sleep of the platform overflows."""
    assert parse_duration("8784h") == MAX_DURATION
    with pytest.raises(ValueError, match="a year at most"):
        parse_duration("8785h")


@given(st.integers(min_value=0, max_value=int(MAX_DURATION) * 1000))
def test_a_duration_survives_the_way_to_text_and_back(milliseconds: int) -> None:
    """To the millisecond."""
    seconds = parse_duration(format_duration(milliseconds / 1000))
    assert round(seconds * 1000) == milliseconds


def test_a_negative_duration_can_be_shown() -> None:
    """A clock that went back is shown as such."""
    assert format_duration(-1.5) == "-1.5s"
    assert format_duration(-0.0001) == "0s"
