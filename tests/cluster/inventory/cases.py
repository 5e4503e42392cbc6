"""Inventories for tests: the folders of good and bad files."""

from __future__ import annotations

from pathlib import Path

FILES = Path(__file__).parents[2] / "inventories"
GOOD = sorted(FILES.glob("good/*.yaml"))
BAD = sorted(FILES.glob("bad/*.yaml"))
