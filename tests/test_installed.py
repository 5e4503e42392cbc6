"""What is built can be installed and used: the wheel, and the source archive, in an empty folder and environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from runbook.lab.simulated import SimulatedLab
from tests.command_line import QUICK, ROOT

PARTS = (
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "runbook",
    "playbooks",
    "docs",
)  # of the project, all that a build reads
BUILD = "import sys, setuptools.build_meta as build; print(getattr(build, 'build_' + sys.argv[1])(sys.argv[2]))"
PLAYBOOKS = ROOT / "playbooks"
PAGES = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")}
SHIPPED = {
    path.relative_to(PLAYBOOKS).as_posix(): path.read_bytes()
    for pattern in ("*.yaml", "scenarios/*.yaml")
    for path in PLAYBOOKS.glob(pattern)
}


def built(kind: str, source: Path, into: Path) -> Path:
    """As pip builds it, with the setuptools of this environment, so that no index is asked."""
    into.mkdir()
    command = [sys.executable, "-c", BUILD, kind, str(into)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return into / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, as a build leaves traces."""
    folder = tmp_path_factory.mktemp("source")
    for part in PARTS:
        path = ROOT / part
        if path.is_dir():
            shutil.copytree(path, folder / part, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, folder / part)
    return folder


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built("wheel", source, tmp_path_factory.mktemp("wheel") / "out")


def shipped_in(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        inside = [name for name in archive.namelist() if name.startswith("runbook/shipped/")]
        return {name.removeprefix("runbook/shipped/"): archive.read(name) for name in inside}


def test_the_wheel_has_every_shipped_playbook_and_scenario(wheel: Path) -> None:
    assert shipped_in(wheel) == SHIPPED


def test_the_wheel_has_every_file_of_the_program_and_every_page(wheel: Path) -> None:
    """And no other: a template, a page or a module that is not declared is missed by whoever needs it at night."""
    program = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "runbook").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    shipped = {f"runbook/shipped/{name}" for name in SHIPPED}
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert inside == program | shipped | {f"runbook/{page}" for page in PAGES}


def test_the_source_archive_makes_the_same_wheel(source: Path, wheel: Path, tmp_path: Path) -> None:
    """Whoever packages it for a distribution begins there."""
    archive = built("sdist", source, tmp_path / "out")
    subprocess.run(["tar", "-xzf", str(archive), "-C", str(tmp_path)], check=True, timeout=60)
    (unpacked,) = tmp_path.glob("runbook_engine-*")
    again = built("wheel", unpacked, tmp_path / "again")
    assert shipped_in(again) == SHIPPED
    assert sorted(zipfile.ZipFile(again).namelist()) == sorted(zipfile.ZipFile(wheel).namelist())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("validate", "remove-dead-peers", "recover-lost-quorum"), "2 good\n"),
        (("docs", "servers/nomad"), (ROOT / "docs/servers/nomad.md").read_text(encoding="utf-8")),
        (("rehearse", "--list"), "dead-leader "),
    ],
    ids=lambda each: each[0] if isinstance(each, tuple) else "",
)
def test_what_is_shipped_is_read_from_inside_a_zip(
    wheel: Path, tmp_path: Path, words: tuple[str, ...], told: str
) -> None:
    """A wheel is one, as the one-file program is, which is tried by night."""
    command = [sys.executable, "-m", "runbook", *words]
    environment = {"PYTHONPATH": str(wheel), "HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert told in done.stdout


def test_it_is_used_by_name_in_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    """Nothing of the project is near, and nothing is in the environment but the cluster's address."""
    environment, empty = tmp_path / "environment", tmp_path / "empty"
    empty.mkdir()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True, timeout=60)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")  # not runbook: that is linked
    install = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(environment / "bin/python")]
    install += ["install", "--quiet", "--no-index", "--no-deps", "--ignore-installed", str(wheel)]
    subprocess.run(install, check=True, timeout=120)

    def typed(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        named = [f"{name}={value}" for name, value in settings.items()]
        command = ["/usr/bin/env", "-i", *named, str(environment / "bin/runbook"), *words]
        return subprocess.run(command, cwd=empty, capture_output=True, text=True, timeout=120, check=False)

    where = subprocess.run(
        [str(environment / "bin/python"), "-c", "import runbook; print(runbook.__file__)"],
        cwd=empty, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert where.stdout.startswith(str(packages)), "the test would say nothing of the wheel"
    assert typed("validate", "remove-dead-peers", "health-check").stdout == "2 good\n"
    assert typed("playbooks", "health-check").stdout == SHIPPED["health-check.yaml"].decode()
    rehearsed = typed("rehearse", "remove-dead-peers", "--scenario", "two-dead", "--quiet")
    assert rehearsed.returncode == 0, rehearsed.stdout + rehearsed.stderr
    with SimulatedLab(5, gossip_delay=0.3) as lab:
        dead = next(name for name in reversed(lab.names) if name != lab.wait_for_leader())
        lab.kill(dead)
        lab.wait_for_gossip(dead, "failed")
        cluster = {"NOMAD_ADDR": lab.addresses[0], "RUNBOOK_STATE_DIR": str(tmp_path / "state")}
        done = typed("execute", "remove-dead-peers", "--yes", *QUICK, **cluster)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "remove-dead-peers: recovered" in done.stdout
    assert list(empty.iterdir()) == []
