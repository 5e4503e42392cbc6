"""The program as one file, for a host without a network and without pip: ``runbook.pyz``, which any Python 3.10 to 3.13
runs. The one that made it starts it fastest.
"""

from __future__ import annotations

import compileall
import shutil
import tempfile
import zipapp
from pathlib import Path
from py_compile import PycInvalidationMode

ZIPAPP = "runbook.pyz"
METADATA = ("METADATA", "entry_points.txt")  # for the versions of the libraries; and for extensions, if one is inside
MAIN = """\
import sys

if sys.version_info < (3, 10):
    here = "%d.%d" % sys.version_info[:2]
    sys.exit("runbook needs Python 3.10 or newer, and this is " + here + "; name one: python3.12 runbook.pyz")
from runbook.__main__ import main

main()
"""
LEFT_OUT = (".so", ".pyi", ".pth")


def write_zipapp(packages: Path, target: Path) -> None:
    """From the folder in which runbook and its libraries are installed."""
    with tempfile.TemporaryDirectory(prefix="runbook-zipapp-") as name:
        staged = Path(name) / "staged"
        shutil.copytree(packages, staged, ignore=_left_out)
        (staged / "__main__.py").write_text(MAIN, encoding="utf-8")
        # Beside their sources, where an import from a zip looks for them, and without times, which are not compared.
        compiled = compileall.compile_dir(
            staged, quiet=1, legacy=True, stripdir=str(staged), invalidation_mode=PycInvalidationMode.UNCHECKED_HASH
        )
        if not compiled:
            raise SystemExit(f"{packages}: not everything could be compiled")
        # Not compressed: it has thrice the size then, and starts as fast as what pip installs.
        zipapp.create_archive(staged, target, "/usr/bin/env python3")
    target.chmod(0o755)


def _left_out(folder: str, names: list[str]) -> list[str]:
    """What is for one machine only, for pip, or for type checkers; each library works without."""
    if folder.endswith(".dist-info"):
        return [name for name in names if name not in METADATA]
    return [name for name in names if name == "__pycache__" or name.endswith(LEFT_OUT)]
