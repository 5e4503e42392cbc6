"""Which file is read, and what is said where it cannot be: one sentence with the next action."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runbook.cluster.inventory.locate import find_cluster, find_inventory, read_inventory
from runbook.cluster.inventory.parser import parse_inventory
from runbook.errors import PlaybookError, SettingsError
from runbook.playbook.reader import MAX_BYTES

SMALLEST = "inventory: 1\nclusters: { dev: { kind: nomad, addresses: [http://a] } }\n"
NAMES = ("given", "variable", "etc", "config")


@pytest.mark.parametrize(
    ("there", "found"),
    [
        (NAMES, "given"),
        (NAMES[1:], "variable"),
        (NAMES[2:], "etc"),
        (NAMES[3:], "config"),
    ],
)
def test_the_first_place_counts(tmp_path: Path, there: tuple[str, ...], found: str) -> None:
    """What was typed, what the environment says, this machine's file, the user's own."""
    files = {name: tmp_path / name / "clusters.yaml" for name in NAMES} | {
        "config": tmp_path / "config" / "runbook" / "clusters.yaml"
    }
    for name in there:
        files[name].parent.mkdir(parents=True)
        files[name].write_text(SMALLEST)
    environment = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    if "variable" in there:
        environment["RUNBOOK_INVENTORY"] = str(files["variable"])
    given = str(files["given"]) if "given" in there else None
    assert find_inventory(given, environment, files["etc"]) == files[found]


def test_the_users_own_is_in_the_home_folder_where_xdg_says_nothing_else(tmp_path: Path) -> None:
    """A relative XDG_CONFIG_HOME counts as none, as its specification asks."""
    own = tmp_path / ".config" / "runbook" / "clusters.yaml"
    own.parent.mkdir(parents=True)
    own.write_text(SMALLEST)
    for xdg in ({}, {"XDG_CONFIG_HOME": "relative"}):
        assert find_inventory(None, {"HOME": str(tmp_path), **xdg}, tmp_path / "none") == own


def test_where_there_is_none_the_places_are_named(tmp_path: Path) -> None:
    """Also for cron, which may have no home."""
    with pytest.raises(SettingsError) as caught:
        find_inventory(None, {"HOME": str(tmp_path)}, tmp_path / "etc")
    assert f"there is no inventory at {tmp_path}/etc or {tmp_path}/.config/runbook/clusters.yaml" in str(caught.value)
    with pytest.raises(SettingsError, match=f"there is no inventory at {tmp_path}/etc[.] Name one"):
        find_inventory(None, {}, tmp_path / "etc")


def test_a_file_that_was_named_and_is_not_there_is_not_passed_over(tmp_path: Path) -> None:
    """Another file that happens to be there is not the one that was meant."""
    (tmp_path / "etc").write_text(SMALLEST)
    missing = find_inventory(str(tmp_path / "missing"), {}, tmp_path / "etc")
    with pytest.raises(SettingsError, match="missing cannot be read: No such file or directory"):
        read_inventory(missing)


def unreadable(tmp_path: Path, kind: str) -> Path:
    path = tmp_path / "clusters.yaml"
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a folder":
        path.mkdir()
    elif kind == "a loop":
        path.symlink_to(path)
    elif kind == "a device":
        path.symlink_to("/dev/zero")
    return path


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("a pipe", "not a regular file but a pipe"),
        ("a folder", "Is a directory"),
        ("a loop", "Too many levels of symbolic links"),
        ("a device", "not a regular file but a device"),
    ],
)
def test_only_a_regular_file_is_read(tmp_path: Path, kind: str, why: str) -> None:
    """At once, and with what to do."""
    path = find_inventory(None, {}, unreadable(tmp_path, kind))
    with pytest.raises(SettingsError) as caught:
        read_inventory(path)
    assert f"{path} cannot be read: {why}. Name another one with --inventory FILE" in str(caught.value)


def test_a_file_that_this_user_may_not_read_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's own inventory may know other clusters by the same names."""

    def forbidden(*_words: object) -> bytes:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "clusters.yaml"
    path.write_text(SMALLEST)
    monkeypatch.setattr("runbook.cluster.inventory.locate.read_limited", forbidden)
    with pytest.raises(SettingsError, match="cannot be read: Permission denied"):
        read_inventory(find_inventory(None, {}, path))


HOSTILE = {
    "a huge file": b"inventory: 1\n# " + b"x" * MAX_BYTES,
    "deep": b"inventory: 1\nclusters: " + b"[" * 10_000,
    "many values": b"inventory: 1\nclusters:\n" + b"".join(b"  c%d: {}\n" % number for number in range(160_000)),
    "a billion laughs": b"a: &a [x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n",
    "no UTF-8": b"inventory: 1\nclusters: \xff\n",
    "control characters": b"inventory: 1\nclusters: { \x1b[2J: {} }\n",
    "nothing": b"",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files_are_refused(tmp_path: Path, kind: str) -> None:
    """Before anything is built from them, and nothing of them reaches the terminal."""
    path = tmp_path / "clusters.yaml"
    path.write_bytes(HOSTILE[kind])
    with pytest.raises(PlaybookError) as caught:
        read_inventory(path)
    assert all(line.isprintable() and len(line) < 300 for line in str(caught.value).splitlines())


def test_a_cluster_that_is_not_there_is_told_with_those_that_are() -> None:
    """A misspelt name is found, and thousands of names are not listed."""
    many = "".join(f"  c{number}: {{ kind: nomad, addresses: [http://c{number}] }}\n" for number in range(1000))
    inventory = parse_inventory(f"inventory: 1\nclusters:\n{many}".encode(), "x.yaml")
    assert find_cluster(inventory, "c999").name == "c999"
    with pytest.raises(SettingsError) as caught:
        find_cluster(inventory, "prod")
    assert "x.yaml names no cluster prod; it has c0, c1," in str(caught.value)
    assert len(str(caught.value)) < 300
    with pytest.raises(SettingsError, match='Did you mean "c1"'):
        find_cluster(inventory, "C1")
