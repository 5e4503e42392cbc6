"""What the tests of the engine share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """What every command of a test writes its name into."""
    return tmp_path / "mark"
