"""Our ``@dataclass`` is the standard library's in all that can be seen of a class, and writes its methods late."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import inspect
import pickle
import pkgutil
import subprocess
import sys
import typing
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, field
from typing import Any, ClassVar

import pytest

import runbook
from runbook import dataclass as ours
from runbook.errors import Mark
from runbook.playbook.model import Secret

MARK = Mark("a.yaml", 1, 2)


def written(decorator: Callable[..., Any]) -> tuple[type[Any], type[Any]]:
    """The same two classes by either decorator."""

    @decorator(frozen=True)
    class Base:
        """Has a default of each sort, and what is left out of comparison, of words and of the fields."""

        kind: ClassVar[str] = "base"
        one: int
        two: str | None = None
        many: list[int] = field(default_factory=list, compare=False)
        hidden: str = field(default="secret", repr=False)

    @decorator(frozen=True)
    class Point(Base):
        """Has a field more, a method of its own, and a last word on what it is given."""

        three: tuple[int, ...] = ()

        def __post_init__(self) -> None:
            object.__setattr__(self, "three", tuple(sorted(self.three)))

        def __str__(self) -> str:
            return f"point {self.one}"

    return Base, Point


OURS, THEIRS = written(ours.dataclass), written(dataclasses.dataclass)
ARGUMENTS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((1,), {}),
    ((1, "a"), {"many": [3], "three": (2, 1)}),
    ((), {"one": 2, "hidden": "other"}),
    ((), {}),
    ((1,), {"nobody": 1}),
]


def outcome(of: Callable[[], Any]) -> str:
    try:
        return str(of()).replace("written.<locals>.", "")
    except Exception as error:
        return f"{type(error).__name__}: {error}".replace("written.<locals>.", "")


def parameters_of(kind: type[Any]) -> list[tuple[str, Any, bool]]:
    taken = inspect.signature(kind).parameters.values()
    return [(each.name, each.annotation, each.default is inspect.Parameter.empty) for each in taken]


@pytest.mark.parametrize(("given", "named"), ARGUMENTS)
@pytest.mark.parametrize("which", [0, 1])
def test_it_is_made_shown_compared_and_kept_as_the_library_s(
    which: int, given: tuple[Any, ...], named: dict[str, Any]
) -> None:
    """Whatever is asked of an object, or of its class, is answered in the same words."""
    mine, model = OURS[which], THEIRS[which]
    if outcome(lambda: model(*given, **named)).startswith("TypeError"):
        assert outcome(lambda: mine(*given, **named)) == outcome(lambda: model(*given, **named))
        return

    def asked(kind: type[Any]) -> Iterator[str]:
        made = kind(*given, **named)
        yield outcome(lambda: repr(made))
        yield outcome(lambda: made)
        yield outcome(lambda: hash(made) == hash(kind(*given, **named)))
        yield outcome(lambda: made == kind(*given, **named))
        yield outcome(lambda: made == dataclasses.replace(made, hidden="else"))
        yield outcome(lambda: made == dataclasses.replace(made, many=[9]))
        yield outcome(lambda: made == OURS[1 - which](7) or made == 7)
        yield outcome(lambda: dataclasses.asdict(made))
        yield outcome(lambda: copy.deepcopy(made) == made)
        yield outcome(lambda: setattr(made, "one", 2))
        yield outcome(lambda: delattr(made, "one"))
        yield outcome(lambda: (kind.__match_args__, kind.__doc__, parameters_of(kind)))
        yield outcome(lambda: kind.__init__.__qualname__)

    assert list(asked(mine)) == list(asked(model))


def test_what_a_class_has_of_its_own_stays() -> None:
    """A method that its body defines, or that it is told to leave out, is not written."""

    class Named:
        def __repr__(self) -> str:
            return "named"

        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment]

    @ours.dataclass(frozen=True)
    class Own:
        one: int

        def __repr__(self) -> str:
            return "own"

        def __hash__(self) -> int:
            return 7

    @ours.dataclass(frozen=True, eq=False, repr=False)
    class Inherits(Named):
        one: int

    assert (repr(Own(1)), hash(Own(1)), Own(1) == Own(2)) == ("own", 7, False)
    assert (repr(Inherits(1)), Inherits(1) == Inherits(2)) == ("named", True)
    with pytest.raises(TypeError, match="unhashable"):
        hash(Inherits(1))
    with pytest.raises(FrozenInstanceError):
        Inherits(1).one = 2  # type: ignore[misc]


def test_threads_may_make_the_first_objects_of_a_class_at_once() -> None:
    """Whoever comes second finds a method, never the lack of one."""
    for _ in range(50):
        mine, _ = written(ours.dataclass)
        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(mine, range(32)))
        assert [each.one for each in made] == list(range(32))
        assert len(set(made)) == 32


def test_an_object_that_comes_from_elsewhere_is_compared_before_one_is_made_here() -> None:
    """As in another process: unpickling calls no ``__init__``."""
    code = "import pickle, sys; a, b, c = pickle.load(sys.stdin.buffer); print(a == b, a == c, hash(a) == hash(b), a)"
    one, same, other = Secret("a", "env", ("A",), MARK), Secret("a", "env", ("A",), MARK), Secret("b", "env", (), MARK)
    sent = pickle.dumps((one, same, other))
    done = subprocess.run([sys.executable, "-c", code], input=sent, capture_output=True, timeout=30, check=True)
    assert done.stdout.decode().strip() == f"True False True {one!r}"


def test_every_class_of_the_package_reads_as_it_is_written() -> None:
    """The late methods of each can be written, and take what its fields say."""
    seen = 0
    for info in pkgutil.walk_packages(runbook.__path__, "runbook."):
        if info.name.endswith("__main__"):
            continue
        for name, kind in vars(importlib.import_module(info.name)).items():
            if isinstance(kind, type) and kind.__module__ == info.name and dataclasses.is_dataclass(kind):
                taken = [each.name for each in dataclasses.fields(kind) if each.init]
                assert list(inspect.signature(kind).parameters) == taken, name
                assert callable(typing.cast("Any", kind).__eq__)
                seen += 1
    assert seen > 250


def test_nothing_is_written_before_it_is_asked_for() -> None:
    """Else it would cost each start of the program what it is there to save."""
    mine, _ = written(ours.dataclass)
    late = {name for name in ("__init__", "__eq__", "__hash__") if not inspect.isfunction(vars(mine)[name])}
    assert late == {"__init__", "__eq__", "__hash__"}
    mine(1)
    assert inspect.isfunction(vars(mine)["__init__"])
    assert not inspect.isfunction(vars(mine)["__eq__"])
