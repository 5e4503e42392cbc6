"""``--confirmed-off`` as it is typed: one name and one reason each, and both on record."""

from __future__ import annotations

import click
import pytest

from runbook.cli.options import parse_confirmed_off


def test_each_name_has_a_reason_of_its_own() -> None:
    assert parse_confirmed_off(("s3", "s4"), ("its disk is out", "its power is off")) == {
        "s3": "its disk is out",
        "s4": "its power is off",
    }
    assert parse_confirmed_off((), ()) == {}


@pytest.mark.parametrize(("names", "reasons"), [(("s3",), ()), ((), ("why",)), (("s3", "s4"), ("both",)),
                                                (("s3",), (" ",)), (("",), ("why",))])  # fmt: skip
def test_a_name_without_a_reason_is_no_word(names: tuple[str, ...], reasons: tuple[str, ...]) -> None:
    with pytest.raises(click.UsageError, match="--because TEXT of its own"):
        parse_confirmed_off(names, reasons)
