"""Steps of other packages: the example is installed, listed, run, removed; a broken one is named and harms nobody."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

from runbook.extension import ExtensionContext
from tests.steps.world import World

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs" / "example-extension"
DRY = """\
runbook: 1
name: room
guards: { max_changes: 1 }
steps:
  - id: where
    uses: command.run
    with: { argv: [pwd] }
  - id: disk
    uses: disk.free
    with: { path: "${{ where.stdout }}" }
"""
PLAYBOOK = """\
runbook: 1
name: room
summary: Is there room?
steps:
  - id: disk
    uses: disk.free
    with: { path: /, at_least: 0 }
  - uses: log.message
    with: { text: "${{ disk.bytes }} bytes" }
"""
GOOD = """
from runbook.extension import Effect, Field, StepDeclaration, StepResult
DECLARATION = StepDeclaration({name!r}, "It does.", Effect.READ, ({parameters}))
def run(context, arguments):
    {body}
"""


@dataclass(frozen=True)
class Place:
    """A Python that sees this environment's packages and runbook itself, and a folder for packages of its own."""

    python: Path
    packages: Path

    def runs(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.python_runs("-m", "runbook", *arguments)

    def python_runs(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command, where = [str(self.python), *arguments], {**os.environ, "PYTHONPATH": str(self.packages)}
        return subprocess.run(
            command, cwd=self.packages, env=where, capture_output=True, text=True, timeout=60, check=False
        )

    def pip(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(self.python), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def has(self, package: str, entries: dict[str, str], **modules: str) -> None:
        """A package laid by hand, as an installer would leave it."""
        info = self.packages / f"{package.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        listed = "".join(f"{name} = {target}\n" for name, target in entries.items())
        (info / "entry_points.txt").write_text(f"[runbook.steps]\n{listed}")
        for name, text in modules.items():
            (self.packages / f"{name}.py").write_text(text)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    packages = tmp_path / "packages"
    packages.mkdir()
    return Place(Path(sys.executable), packages)


@pytest.fixture
def environment(tmp_path: Path) -> Place:
    """One in which an installer can work."""
    folder = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=60)
    (packages,) = folder.glob("lib/python*/site-packages")
    seen = [str(ROOT), sysconfig.get_paths()["purelib"]]
    (packages / "seen.pth").write_text("\n".join(seen) + "\n")
    return Place(folder / "bin" / "python", packages)


def validate(place: Place, tmp_path: Path, uses: str) -> subprocess.CompletedProcess[str]:
    playbook = tmp_path / "p.yaml"
    playbook.write_text(f"runbook: 1\nname: p\nsummary: x\nsteps:\n  - uses: {uses}\n")
    return place.runs("validate", str(playbook))


def test_the_example_is_installed_listed_run_and_removed(environment: Place, tmp_path: Path) -> None:
    """As its README says, in a fresh environment and without a network."""
    source = tmp_path / "source"
    shutil.copytree(EXAMPLE, source)
    environment.pip("install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation", str(source))
    assert "disk.free            read     runbook-disk 0.1.0  Say how much room" in environment.runs("steps").stdout
    assert "disk.free (read, from runbook-disk 0.1.0)" in environment.runs("steps", "disk.free").stdout
    playbook = tmp_path / "room.yaml"
    playbook.write_text(PLAYBOOK)
    assert environment.runs("validate", str(playbook)).stdout == "1 good\n"
    done = environment.runs("execute", str(playbook), "--log-format", "json")
    assert done.returncode == 0, done.stderr
    ended = [json.loads(line) for line in done.stderr.splitlines() if '"step.completed"' in line]
    assert ended[0]["output"]["bytes"] > 0
    assert ended[1]["message"] == f"{ended[0]['output']['bytes']} bytes"
    told = environment.runs("print", str(playbook)).stdout
    assert "Do by hand what disk.free of runbook-disk 0.1.0 does" in told, told
    playbook.write_text(DRY)
    foreseen = environment.runs("execute", str(playbook), "--dry-run", "--yes")
    assert (
        foreseen.returncode,
        "would run the step disk.free of runbook-disk" in foreseen.stdout + foreseen.stderr,
    ) == (0, True)
    playbook.write_text(PLAYBOOK)
    environment.pip("uninstall", "--quiet", "--yes", "runbook-disk")
    assert "disk.free" not in environment.runs("steps").stdout
    assert environment.runs("validate", str(playbook)).returncode == 2


def test_an_extension_needs_one_module_of_runbook_and_that_is_light() -> None:
    """The example and the page name no other, so all others may change; ``validate`` loads it with the extension."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(EXAMPLE.iterdir()) if path.is_file()]
    named = {name for text in texts for name in re.findall(r"\brunbook(?:\.[a-z_]+)+", text)}
    assert named == {"runbook.extension", "runbook.steps"}  # the second is the name of the entry points
    heavy = "import sys, runbook.extension; print(*{'requests', 'tenacity', 'structlog', 'urllib3'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "\n"


def test_what_a_step_is_given_is_what_is_promised(world: World) -> None:
    """The type checker holds the names and types; here, that they are there."""
    context: ExtensionContext = world.context()
    assert {name for name in dir(ExtensionContext) if not name.startswith("_")} <= set(dir(context))
    assert context.left(1.0) <= 1.0


BROKEN = {
    "import": ("import no_such_module", "ModuleNotFoundError: No module named"),
    "exit": ("raise SystemExit(3)", "SystemExit: 3"),
    "syntax": ("def", "SyntaxError"),
    "empty": ("", "AttributeError"),
    "declaration": ("DECLARATION = {}\nrun = print", "its DECLARATION is no StepDeclaration"),
    "name": (GOOD.format(name="other.name", parameters="", body="pass"), "it declares the name other.name"),
    "run": (GOOD.format(name="x.run", parameters="", body="pass") + "run = 3", "its run cannot be called"),
    "type": (GOOD.format(name="x.type", parameters="Field('a', 'number', 'x'),", body="pass"), "has the type number"),
    "default": (
        GOOD.format(name="x.default", parameters="Field('a', 'int', 'x', default='b'),", body="pass"),
        "the default of a must be an int",
    ),
    "field": (GOOD.format(name="x.field", parameters="'a',", body="pass"), "is no Field"),
}


def test_a_broken_extension_is_named_with_its_reason_and_the_rest_goes_on(place: Place, tmp_path: Path) -> None:
    good = GOOD.format(
        name="x.good", parameters="Field('a', 'int', 'x', default=1),", body="return StepResult('did', {})"
    )
    for key, (text, _) in BROKEN.items():
        place.has(f"broken-{key}", {f"x.{key}": f"broken_{key}"}, **{f"broken_{key}": text})
    place.has("good", {"x.good": "good_one"}, good_one=good)
    done = place.runs("steps")
    assert done.returncode == 0
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert lines["x.good"].split()[1:4] == ["read", "good", "1.0"]
    for key, (_, reason) in BROKEN.items():
        assert f"x.{key}" in lines, done.stdout
        assert lines[f"x.{key}"].split()[1:4] == ["BROKEN", f"broken-{key}", "1.0"]
        assert reason in lines[f"x.{key}"]
    assert validate(place, tmp_path, "x.good").returncode == 0
    refused = validate(place, tmp_path, "x.import")
    assert refused.returncode == 2
    assert "broken-import 1.0 offers it, but ModuleNotFoundError: No module named" in refused.stdout + refused.stderr
    one = place.runs("steps", "x.import")
    assert (one.returncode, "of broken-import 1.0 cannot be used: ModuleNotFoundError" in one.stderr) == (2, True)
    assert "Traceback" not in done.stderr + one.stderr


def test_no_extension_takes_a_name_of_ours_or_a_name_without_a_dot_or_one_that_two_offer(
    place: Place, tmp_path: Path
) -> None:
    """What is not ours must not pass for ours: raft.remove_peer is the one that is guarded."""
    text = GOOD.format(name="raft.remove_peer", parameters="", body="open('ran', 'w')")
    place.has("thief", {"raft.remove_peer": "thief", "dotless": "thief", "X.Y": "thief", "x.two": "thief"}, thief=text)
    place.has("other", {"x.two": "thief"})
    told = place.runs("steps").stdout
    assert "raft.remove_peer     change   runbook" in told
    assert "raft.remove_peer     BROKEN   thief 1.0" in told
    assert "it has the name of a step of runbook itself" in told
    assert told.count("its name is not something.something") == 2
    assert "several packages offer it" in told
    assert "needs the parameter" in validate(place, tmp_path, "raft.remove_peer").stderr
    assert validate(place, tmp_path, "dotless").returncode == 2
    assert validate(place, tmp_path, "x.two").returncode == 2


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return {}['missing']", "the step x.bad of bad 1.0 broke: KeyError"),
        ("return None", "the step x.bad of bad 1.0 returned a NoneType, not a StepResult"),
        ("return 'did', {}", "the step x.bad of bad 1.0 returned a tuple, not a StepResult"),
        ("return StepResult('did', [])", "the step x.bad of bad 1.0 returned a StepResult of str and list"),
        ("return StepResult(b'did', {})", "the step x.bad of bad 1.0 returned a StepResult of bytes and dict"),
        ("return StepResult('did', {'a': object()})", "the step x.bad of bad 1.0 broke: TypeError"),
    ],
)
def test_what_an_extension_does_wrong_is_told_as_its_own_fault(
    place: Place, tmp_path: Path, body: str, words: str
) -> None:
    place.has("bad", {"x.bad": "bad_one"}, bad_one=GOOD.format(name="x.bad", parameters="", body=body))
    script = textwrap.dedent("""
        from types import SimpleNamespace
        from runbook.steps.registry import body_of
        from runbook.extension import StepError
        try:
            body_of("x.bad")(SimpleNamespace(dry_run=False), {})
        except StepError as error:
            print(error.kind.value, error)
    """)
    done = place.python_runs("-c", script)
    assert done.stdout.startswith("unexpected "), done.stderr
    assert words in done.stdout


def test_nothing_of_an_extension_is_loaded_for_a_playbook_that_uses_only_ours(place: Place, tmp_path: Path) -> None:
    place.has("loud", {"x.loud": "loud"}, loud=f"open({str(tmp_path / 'loaded')!r}, 'w')")
    assert validate(place, tmp_path, "raft.snapshot").returncode == 0
    assert not (tmp_path / "loaded").exists()
    validate(place, tmp_path, "x.loud")
    assert (tmp_path / "loaded").exists()
