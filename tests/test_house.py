"""The house rules hold in every file, and each rule is shown to catch what it forbids."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests import house_rules as rules

ROOT = Path(__file__).resolve().parent.parent


def files_of_the_repository() -> list[str]:
    """Tracked files, and new ones that nobody asked git to ignore."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False).stdout
    return [path for path in listed.split("\0") if path and (ROOT / path).is_file()]


PACKAGE = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "runbook").rglob("*.py"))
ROOMS = ("tests", "benchmarks", "release")
PYTHON = PACKAGE + sorted(path.relative_to(ROOT).as_posix() for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def faults_in(paths: list[str], rule: rules.Rule) -> str:
    faults = [fault for path in paths for fault in rule(path, (ROOT / path).read_text(encoding="utf-8"))]
    return "\n".join(faults)


@pytest.mark.parametrize("rule", rules.PACKAGE_RULES, ids=lambda rule: rule.__name__)
def test_the_package_keeps(rule: rules.Rule) -> None:
    """Floors, purity, one door to the network, no log below the report, one word per thing."""
    assert not faults_in(PACKAGE, rule)


def test_no_modules_import_each_other_in_a_circle() -> None:
    """What has no first part cannot be read, tested or moved part by part; imports for types only count too."""
    modules = {path.removesuffix(".py").removesuffix("/__init__").replace("/", "."): path for path in PACKAGE}
    imports: dict[str, set[str]] = {}
    for module, path in modules.items():
        names = [name for _, name in rules.imports_of(path, (ROOT / path).read_text(encoding="utf-8"))]
        imports[module] = {name if name in modules else name.rpartition(".")[0] for name in names} & modules.keys()
        imports[module] -= {module}
    assert rules.circles_in(imports) == []


def test_no_two_classes_have_one_name() -> None:
    """A reader who searches for a class finds it, and not another thing of that name."""
    names = [name for path in PACKAGE for name in rules.classes_of((ROOT / path).read_text(encoding="utf-8"))]
    assert [name for name, count in Counter(names).items() if count > 1] == []


def test_a_circle_is_found() -> None:
    """A circle of three is seen, and what only hangs on it is no part of it."""
    imports = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set[str](), "e": {"a"}}
    assert rules.circles_in(imports) == [["a", "b", "c"]]


@pytest.mark.parametrize("rule", rules.PYTHON_RULES, ids=lambda rule: rule.__name__)
def test_all_python_keeps(rule: rules.Rule) -> None:
    """Sizes: what fits on a screen is read, what does not is trusted."""
    assert not faults_in(PYTHON, rule)


def test_every_module_has_a_docstring_that_says_what_it_is_for() -> None:
    """The first line of a file is where a reader decides whether to read on."""
    bare = [path for path in PACKAGE if not (ROOT / path).read_text(encoding="utf-8").startswith('"""')]
    assert not bare


def test_no_file_names_a_machine_or_a_package_registry() -> None:
    """A clone must work anywhere, with the registry that its machine is set to."""
    paths = files_of_the_repository()
    if not paths:
        pytest.skip("not a git working tree")
    texts = [(path, (ROOT / path).read_text(encoding="utf-8", errors="replace")) for path in paths]
    assert not [fault for path, text in texts for fault in rules.names_no_machine(path, text)]


def test_every_make_target_has_a_help_line() -> None:
    """`make` alone says everything that can be asked of it."""
    assert not faults_in(["Makefile"], rules.targets_have_help)


TMP = "/" + "tmp/"
LONG = "def f():\n" + "    x = 1\n" * 50
CAUGHT: list[tuple[rules.Rule, str, str]] = [
    (rules.imports_go_down, "runbook/raft/quorum.py", "import runbook.cluster.port"),
    (rules.imports_go_down, "runbook/raft/quorum.py", "from runbook.steps import catalog"),
    (rules.imports_go_down, "runbook/raft/quorum.py", "from runbook import engine"),
    (rules.imports_go_down, "runbook/raft/quorum.py", "from ..cluster import port"),
    (rules.imports_go_down, "runbook/raft/quorum.py", "from .. import clock"),
    (rules.imports_go_down, "runbook/events.py", "from . import journal"),
    (rules.imports_go_down, "runbook/raft/__init__.py", "from ..lab import simulated"),
    (rules.imports_go_down, "runbook/steps/base.py", "def f():\n    from runbook.engine import execute\n"),
    (rules.imports_go_down, "runbook/steps/base.py", "import importlib\nimportlib.import_module('runbook.cli.main')"),
    (rules.imports_go_down, "runbook/engine/plan.py", "from runbook.journal.store import Journal"),
    (rules.imports_go_down, "runbook/journal/store.py", "from runbook.engine import plan"),
    (rules.imports_go_down, "runbook/journal/store.py", "from runbook.report.log import line"),
    (rules.imports_go_down, "runbook/report/log.py", "from runbook.steps import catalog"),
    (rules.imports_go_down, "runbook/report/log.py", "from runbook.journal import store"),
    (rules.imports_go_down, "runbook/report/log.py", "from runbook.cli import main"),
    (rules.imports_go_down, "runbook/raft/quorum.py", "from runbook.nowhere import x"),
    (rules.imports_go_down, "runbook/nowhere/new.py", "x = 1"),
    (rules.floor_0_is_pure, "runbook/raft/liveness.py", "import time"),
    (rules.floor_0_is_pure, "runbook/raft/liveness.py", "def f():\n    from random import random\n"),
    (rules.floor_0_is_pure, "runbook/events.py", "import os.path"),
    (rules.floor_0_is_pure, "runbook/simulation/state.py", "from random import random"),
    (rules.floor_0_is_pure, "runbook/simulation/state.py", "from random import Random\nchance = Random()"),
    (rules.imports_go_down, "runbook/simulation/cluster.py", "from runbook.lab import simulated"),
    (rules.floor_0_is_pure, "runbook/run_state.py", "from logging import getLogger"),
    (rules.floor_0_is_pure, "runbook/playbook/parser.py", "text = open('playbook.yaml').read()"),
    (rules.floor_0_is_pure, "runbook/playbook/parser.py", "text = path.read_text()"),
    (rules.floor_0_is_pure, "runbook/playbook/parser.py", "f = path.open()"),
    (rules.floor_0_is_pure, "runbook/raft/model.py", "from datetime import datetime\nat = datetime.now()"),
    (rules.floor_0_is_pure, "runbook/raft/model.py", "import datetime\nat = datetime.date.today()"),
    (rules.steps_do_not_log, "runbook/steps/raft/snapshot.py", "import structlog"),
    (rules.steps_do_not_log, "runbook/steps/raft/snapshot.py", "def f():\n    from logging import getLogger\n"),
    (rules.steps_do_not_log, "runbook/engine/execute.py", "import structlog.stdlib"),
    (rules.one_door_to_http, "runbook/cluster/nomad.py", "import requests"),
    (rules.one_door_to_http, "runbook/cli/doctor.py", "def f():\n    from requests.exceptions import Timeout\n"),
    (rules.one_door_to_http, "runbook/lab/agents.py", "from urllib.request import urlopen"),
    (rules.one_door_to_http, "runbook/lab/agents.py", "from http import client"),
    (rules.one_door_to_http, "runbook/lab/agent_api.py", "import requests"),
    (rules.one_door_to_the_terminal, "runbook/cli/x.py", "print('x')"),
    (rules.one_door_to_the_terminal, "runbook/cli/x.py", "click.echo('x', err=True)"),
    (rules.yaml_is_composed, "runbook/playbook/parser.py", "import yaml\nyaml.load(text, Loader=yaml.CSafeLoader)"),
    (rules.yaml_is_composed, "runbook/playbook/parser.py", "import yaml\nyaml.unsafe_load(text)"),
    (rules.yaml_is_composed, "runbook/playbook/parser.py", "from yaml import full_load"),
    (rules.files_have_one_door, "runbook/cli/x.py", "text = Path('p').read_text()"),
    (rules.files_have_one_door, "runbook/cli/x.py", "with open('p') as file: pass"),
    (rules.files_have_one_door, "runbook/cli/x.py", "import os\nhandle = os.open('p', os.O_RDONLY)"),
    (rules.files_have_one_door, "runbook/cli/x.py", "path.write_bytes(b'')"),
    (rules.files_have_one_door, "runbook/cli/x.py", "with path.open('rb') as file: pass"),
    (rules.a_name_has_one_place, "runbook/cli/x.py", "from runbook.engine.world import World as World"),
    (rules.a_name_has_one_place, "runbook/cli/x.py", "__all__ = ['x']"),
    (rules.production_asserts_nothing, "runbook/cli/x.py", "def f(x):\n    assert x is not None\n"),
    (rules.a_server_is_not_a_node, "runbook/cluster/nomad.py", "dead_node = 1"),
    (rules.a_server_is_not_a_node, "runbook/cluster/nomad.py", "class NodeView: ..."),
    (rules.a_server_is_not_a_node, "runbook/cluster/nomad.py", "def f(nodes): ..."),
    (rules.a_server_is_not_a_node, "runbook/cluster/nomad.py", "peer.nodeID = 1"),
    (rules.functions_are_short, "runbook/cli/main.py", LONG),
    (rules.functions_are_short, "runbook/cli/main.py", "class C:\n    async def f(self):\n" + "        x = 1\n" * 50),
    (rules.files_are_short, "runbook/cli/main.py", "x = 1\n" * 301),
    (rules.names_no_machine, "docs/quickstart.md", f"cd {TMP}clone"),
    (rules.names_no_machine, "README.md", "pip install -i https://py" + "pi.org/simple"),
    (rules.names_no_machine, ".ci/install-agents", "deb http://deb.deb" + "ian.org/debian bullseye main"),
    (rules.targets_have_help, "Makefile", "demo: venv\n\trunbook demo\n"),
    (rules.targets_have_help, "Makefile", "help: ## Say\ntest-all: ##\n"),
]
ALLOWED: list[tuple[rules.Rule, str, str]] = [
    (rules.imports_go_down, "runbook/engine/plan.py", "from runbook.steps import catalog\nfrom . import retry"),
    (
        rules.imports_go_down,
        "runbook/cluster/nomad.py",
        "from runbook.clock import Clock\nfrom runbook import __version__",
    ),
    (rules.imports_go_down, "runbook/raft/quorum.py", "from .model import Peer\nimport dataclasses"),
    (rules.imports_go_down, "runbook/__main__.py", "from runbook.cli.main import main"),
    (rules.floor_0_is_pure, "runbook/clock.py", "import time"),
    (rules.floor_0_is_pure, "runbook/simulation/state.py", "from random import Random\nchance = Random(settings.seed)"),
    (rules.imports_go_down, "runbook/lab/simulated.py", "from runbook.simulation.cluster import SimulatedCluster"),
    (rules.floor_0_is_pure, "runbook/run_state.py", "opened = state.now\nclock.now()"),
    (rules.steps_do_not_log, "runbook/report/log.py", "import structlog"),
    (rules.one_door_to_http, "runbook/cluster/http.py", "def f():\n    import requests\n"),
    (rules.one_door_to_http, "runbook/lab/agent_api.py", "import http.client"),
    (rules.one_door_to_http, "runbook/lab/simulated.py", "from http.server import BaseHTTPRequestHandler"),
    (rules.one_door_to_the_terminal, "runbook/cli/x.py", "Output().lines(['x'])"),
    (rules.yaml_is_composed, "runbook/playbook/parser.py", "import yaml\nyaml.compose(text, Loader=yaml.CSafeLoader)"),
    (rules.yaml_is_composed, "runbook/journal/store.py", "import json\njson.loads(line)\nprofile.load(x)"),
    (rules.a_server_is_not_a_node, "runbook/cluster/nomad.py", "name = reply['Node']  # a node is a client"),
    (rules.a_server_is_not_a_node, "runbook/playbook/parser.py", "node.start_mark"),
    (
        rules.functions_are_short,
        "runbook/cli/main.py",
        "def f():\n    '''a\n" + "a\n" * 60 + "'''\n    # why\n\n    x = 1\n",
    ),
    (rules.names_no_machine, "docs/operating.md", "$HOME/work/x ${TMPDIR}" + TMP + " example.org docs/work/x"),
    (rules.targets_have_help, "Makefile", "BIN := x\n.venv/dev: pyproject.toml\ntest: .venv/dev ## Run the tests\n"),
]


@pytest.mark.parametrize(("rule", "path", "snippet"), CAUGHT)
def test_the_rule_catches(rule: rules.Rule, path: str, snippet: str) -> None:
    """A rule that catches nothing would pass for ever."""
    assert rule(path, snippet)


@pytest.mark.parametrize(("rule", "path", "snippet"), ALLOWED)
def test_the_rule_allows(rule: rules.Rule, path: str, snippet: str) -> None:
    """A rule that catches everything would soon be switched off."""
    assert rule(path, snippet) == []


def test_every_rule_is_proven() -> None:
    """A rule added without a bad snippet would be a rule that nobody has seen to work."""
    used = {*rules.PACKAGE_RULES, *rules.PYTHON_RULES, rules.names_no_machine, rules.targets_have_help}
    assert used == {rule for rule, _, _ in CAUGHT}
