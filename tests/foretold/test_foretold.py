"""I14: what a dry run foretells is what the same playbook then does on the same world, as long as that stands still."""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest

from runbook.engine import shadow
from runbook.errors import TransitionError
from tests.foretold.compared import NAMES, compare
from tests.foretold.standing import quick_disk

SEEDS = int(os.environ.get("FORETOLD_SEEDS", "3"))
WRONG = (53, *range(60))  # seeds among which each broken shadow shows
FIRST = int(os.environ.get("FIRST", "0"))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_foretold_is_what_happens(name: str, tmp_path: Path) -> None:
    labels: Counter[str] = Counter()
    for seed in range(FIRST, FIRST + SEEDS):
        folder = tmp_path / str(seed)
        folder.mkdir()
        with quick_disk():
            compared = compare(name, seed, folder)
        labels += compared.labels
        assert compared.differences == []
    print(f"{name}: {dict(labels)}")


BROKEN = {
    "removals do not take effect": ("after_removals", lambda view, _removed, at: replace(view, taken_at=at)),
    "every cluster stands still": ("stands_still", lambda *_: True),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_shadow_that_is_wrong_is_caught(how: str, tmp_path: Path) -> None:
    """These tests can fail."""
    name, instead = BROKEN[how]
    with patch.object(shadow, name, instead), quick_disk():
        for seed in WRONG:
            folder = tmp_path / str(seed)
            folder.mkdir()
            try:
                differences = compare("remove-dead-peers", seed, folder).differences
            except TransitionError:  # what cannot follow on record is noticed too
                return
            if differences:
                return
    raise AssertionError("nobody noticed")


def main() -> int:
    """Many seeds by hand: ``FORETOLD_SEEDS=500 python -m tests.foretold.test_foretold``."""
    bad = 0
    for name in sys.argv[1:] or NAMES:
        labels: Counter[str] = Counter()
        counts: Counter[str] = Counter()
        differences: list[str] = []
        for seed in range(FIRST, FIRST + SEEDS):
            with tempfile.TemporaryDirectory() as folder, quick_disk():
                compared = compare(name, seed, Path(folder))
            labels, counts = labels + compared.labels, counts + compared.counts
            differences += compared.differences
        total = sum(labels.values()) or 1
        share = ", ".join(f"{labels[label]} {label}" for label in ("live", "simulated", "unknown"))
        print(
            f"{name}: {SEEDS} seeds, {len(differences)} differences; {share} ({100 * labels['unknown'] / total:.1f} %)"
        )
        print("   ", ", ".join(f"{number} {what}" for what, number in counts.most_common()))
        for difference in differences[:4]:
            print("   !", difference[:1500])
        bad += len(differences)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
