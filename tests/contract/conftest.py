"""Which tests on real servers `make test` plays: one for each product. CI plays all, and so does CONTRACT=all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The others are skipped, with the words that play them."""
    named = any("contract" in str(argument) for argument in config.args)
    if named or os.environ.get("CI") == "true" or os.environ.get("CONTRACT") == "all":
        return
    for item in items:
        if HERE in item.path.parents and not item.get_closest_marker("smoke"):
            item.add_marker(pytest.mark.skip(reason="played in CI, or by CONTRACT=all make test"))
