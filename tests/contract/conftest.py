"""Which tests on real servers are played: by `make test` one a product, in CI all but the long ones, at night all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The others are skipped, with the words that play them."""
    if os.environ.get("CONTRACT") == "all" or any("contract" in str(argument) for argument in config.args):
        return
    in_ci = os.environ.get("CI") == "true"
    for item in items:
        if HERE not in item.path.parents:
            continue
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.skip(reason="played by night, or by CONTRACT=all make test"))
        elif not in_ci and not item.get_closest_marker("smoke"):
            item.add_marker(pytest.mark.skip(reason="played in CI, or by CONTRACT=all make test"))
