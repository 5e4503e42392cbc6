"""One winner a cluster; the next run comes in as soon as the holder is gone."""

from pathlib import Path

import pytest

from runbook.journal.lock import LockedError, hold


def test_a_second_run_on_the_same_cluster_is_told_who_holds_it(tmp_path: Path) -> None:
    with hold(tmp_path, "nomad:a", {"run": "first"}):
        second = hold(tmp_path, "nomad:a", {"run": "second"})
        with pytest.raises(LockedError, match="first"):
            second.__enter__()


def test_another_cluster_is_free_and_so_is_this_one_afterwards(tmp_path: Path) -> None:
    with hold(tmp_path, "nomad:a", {}), hold(tmp_path, "nomad:b", {}):
        pass
    with hold(tmp_path, "nomad:a", {}):
        assert all(path.stat().st_mode & 0o777 == 0o600 for path in tmp_path.iterdir())
