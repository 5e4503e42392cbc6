"""``make dist``: the wheel, the source archive, the program as one file, and what is inside it, for whoever audits it.

The build asks no package index; pip asks one for the libraries of the one file.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from release.one_file import ZIPAPP, write_zipapp

ROOT = Path(__file__).resolve().parents[1]
SBOM = "runbook.cdx.json"
ALSO = ("typing-extensions",)  # which structlog needs on Python 3.10 only, and the one file may be run by that


def main() -> None:
    """Into dist/, which is emptied first, so that nothing in it is of another build."""
    folder = ROOT / "dist"
    shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="runbook-dist-") as name:
        source, venv = Path(name) / "source", Path(name) / "venv"
        shutil.copytree(ROOT, source, symlinks=True, ignore=_left_out)
        _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(source))
        (wheel,) = folder.glob("*.whl")
        packages = _installed(wheel, venv)
        write_zipapp(packages, folder / ZIPAPP)
        _write_sbom(venv, folder / SBOM)
    for made in sorted(folder.iterdir()):
        print(f"{made.stat().st_size // 1024:>7} KiB  {made}")


def _left_out(folder: str, names: list[str]) -> list[str]:
    """Of the working tree: what was built, and what tools keep there, such as a list of files that are gone."""
    if Path(folder) != ROOT:
        return [name for name in names if name == "__pycache__"]
    return [name for name in names if name[0] == "." or name in ("build", "dist") or name.endswith(".egg-info")]


def _installed(wheel: Path, venv: Path) -> Path:
    """The packages of a new environment that has the wheel and what it needs, and no more."""
    _run(sys.executable, "-m", "venv", "--without-pip", str(venv))
    python = str(venv / "bin" / "python")
    _run(*_PIP, "--python", python, "install", "--no-compile", str(wheel), *ALSO)
    (packages,) = venv.glob("lib/python*/site-packages")
    return packages


_PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")


def _write_sbom(venv: Path, target: Path) -> None:
    """CycloneDX, from what is installed."""
    command = ("-m", "cyclonedx_py", "environment", "--pyproject", str(ROOT / "pyproject.toml"))
    _run(sys.executable, *command, "--output-reproducible", "--output-file", str(target), str(venv / "bin" / "python"))


def _run(*command: str) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\nended with {done.returncode}:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
