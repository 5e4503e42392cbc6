"""The files of a simulated machine, as our scripts see and change them: by path their text, or that it is a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from runbook.hosts import scripts
from runbook.hosts.process import Ended

FOLDER = "folder"
Tree = dict[str, str]
FREE, SIZE = 50_000_000, 1_000  # KiB that are free on each disk, and that each folder takes
COPY = 20.0  # seconds for a copy of a data folder


def read(tree: Tree, arguments: Sequence[str], _given: str) -> Ended:
    """At most so many bytes of it."""
    path, limit = arguments
    if path not in tree:
        return Ended(scripts.NOT_THERE, "", "", 0)
    return Ended(0, tree[path][: int(limit)], "", 0)


def kind(tree: Tree, arguments: Sequence[str], _given: str) -> Ended:
    text = tree.get(arguments[0])
    return _told("nothing" if text is None else FOLDER if text == FOLDER else "file")


def room(_tree: Tree, _arguments: Sequence[str], _given: str) -> Ended:
    return _told(str(SIZE), str(FREE))


def write(tree: Tree, arguments: Sequence[str], given: str) -> Ended:
    """Whole or not at all; with the owner of a file that must be there."""
    path, _, like, size = arguments
    if like not in tree or len(given.encode()) != int(size):
        return Ended(1, "", f"chown: cannot access '{like}'", 0)
    tree[path] = given
    return _told()


def copy_aside(tree: Tree, arguments: Sequence[str], _given: str) -> Ended:
    """One that is there is kept."""
    path, target = arguments
    if target not in tree:
        tree.update({target + each[len(path) :]: tree[each] for each in _below(tree, path)})
    return _told()


def move_aside(tree: Tree, arguments: Sequence[str], _given: str) -> Ended:
    """To a name at which one that is there is kept."""
    path, target = arguments
    kept = target in tree
    for each in _below(tree, path):
        text = tree.pop(each)
        if not kept:
            tree[target + each[len(path) :]] = text
    return _told()


def _below(tree: Tree, path: str) -> list[str]:
    return [each for each in tree if each == path or each.startswith(f"{path}/")]


def _told(*lines: str) -> Ended:
    return Ended(0, "".join(f"{line}\n" for line in lines), "", 0)


LOOKS: Mapping[str, tuple[str, Callable[[Tree, Sequence[str], str], Ended]]] = {
    scripts.KIND: ("look at a path", kind),
    scripts.READ: ("read a file", read),
    scripts.ROOM: ("see how large a folder is", room),
}
CHANGES: Mapping[str, tuple[str, Callable[[Tree, Sequence[str], str], Ended]]] = {
    scripts.MOVE_ASIDE: ("move aside", move_aside),
    scripts.COPY_ASIDE: ("copy aside", copy_aside),
    scripts.WRITE: ("write a file", write),
}
