"""CI runs with versions that were tried together: every one is pinned, also of what a dependency needs."""

from __future__ import annotations

import re

import pytest

from release.constraints import extras_of_the_package, needed
from tests.command_line import ROOT

PINNED = (ROOT / ".ci" / "constraints.txt").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("extra", extras_of_the_package())
def test_whatever_is_needed_is_pinned(extra: str) -> None:
    """Of the development tools all that is installed here, of the other extras at least what they name."""
    names = {line.partition("==")[0] for line in PINNED}
    assert set(needed((extra,))) - names == set()


def test_each_line_pins_one_version() -> None:
    assert [line for line in PINNED[1:] if not re.fullmatch(r"[a-z0-9-]+==[\w.+!]+", line)] == []


@pytest.mark.parametrize("script", ["run", "nightly"])
def test_ci_uses_them(script: str) -> None:
    assert "PIP_CONSTRAINT=$PWD/.ci/constraints.txt" in (ROOT / ".ci" / script).read_text(encoding="utf-8")
