"""One browser for all tests of a process: its start takes longer than what they do with it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.report import chromium
from tests.report.chromium import Page


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium.browser(tmp_path_factory.mktemp("browser")) as page:
        yield page
