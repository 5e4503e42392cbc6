"""What a user has: a wheel of this tree in an environment of its own, without the tools and hooks of development.

An editable install runs code of its installer in every interpreter that starts, also in the one that a ratio is held
against. Dependencies are copied from the environment that measures, so no package index is asked.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "runbook-engine"
_NAME = re.compile(r"[A-Za-z0-9._-]+")


class Installation(NamedTuple):
    """``folder`` is outside the tree, so that nothing is imported from there by where a command was started."""

    python: str
    runbook: str
    folder: Path


@contextmanager
def installation(extra: str = "") -> Iterator[Installation]:
    """Made anew, and removed at the end. With what this ``extra`` needs too."""
    with tempfile.TemporaryDirectory(prefix="runbook-bench-") as name:
        folder = Path(name)
        _run(sys.executable, "-m", "venv", "--without-pip", str(folder / "venv"))
        python = str(folder / "venv" / "bin" / "python")
        (packages,) = (folder / "venv").glob("lib/python*/site-packages")
        for needed in _needed(extra):
            _copy(needed, packages)
        shutil.copytree(ROOT / "benchmarks", packages / "benchmarks", ignore=shutil.ignore_patterns("__pycache__"))
        source = folder / "source"  # a build writes beside what it builds
        shutil.copytree(ROOT / "runbook", source / "runbook", ignore=shutil.ignore_patterns("__pycache__"))
        for file in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / file, source)
        pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
        _run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source))
        _run(*pip, "--python", python, "install", "--no-index", "--no-deps", *map(str, folder.glob("*.whl")))
        yield Installation(python, str(folder / "venv" / "bin" / "runbook"), folder)


def _needed(extra: str) -> list[Distribution]:
    """What the package depends on, with this extra, and what that depends on, without any, as far as it is here."""
    found = {PACKAGE: distribution(PACKAGE)}
    names = [PACKAGE]
    while names:
        for line in found[names.pop()].requires or ():
            named, _, marker = line.partition(";")
            match = _NAME.match(named)
            wanted = "extra" not in marker or (extra != "" and f'extra == "{extra}"' in marker)
            if match and wanted and match[0] not in found:
                with suppress(PackageNotFoundError):
                    found[match[0]] = distribution(match[0])
                    names.append(match[0])
    del found[PACKAGE]
    return list(found.values())


def _copy(package: Distribution, packages: Path) -> None:
    for file in package.files or ():
        if ".." not in file.parts:  # a script beside the packages
            target = packages / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file.locate(), target)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\nended with {done.returncode}:\n{done.stdout}{done.stderr}")
