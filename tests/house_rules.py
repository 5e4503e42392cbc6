"""The house rules as pure functions: (path in the repository, its text) → what breaks the rule."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import PurePosixPath

Rule = Callable[[str, str], list[str]]

FLOORS = {
    "__init__": 0, "raft": 0, "playbook": 0, "simulation": 0, "events": 0, "cluster_events": 0, "changes": 0,
    "removals": 0, "run_state": 0, "recorded": 0, "transitions": 0, "errors": 0, "exit_codes": 0,
    "shadow_events": 0, "label": 0, "printable": 0, "dataclass": 0, "approvals": 0, "by_hand": 0,
    "saved_plan": 0, "plan_differences": 0,
    "cluster": 1, "hosts": 1, "lab": 1, "clock": 1, "files": 1, "shipped_playbooks": 1, "secrets": 1, "redaction": 1,
    "decode": 1, "text": 1, "doors": 1, "signatures": 1, "package_data": 1, "shipped_pages": 1,
    "steps": 2, "extension": 2,
    "engine": 3,
    "journal": 4, "report": 4,
    "session": 5, "proving": 5, "inspection": 5, "fleet": 5,
    "cli": 6, "__main__": 6,
}  # fmt: skip
NOT_FOR = {"journal": {"engine", "steps", "report"}, "report": {"engine", "steps", "journal"}}  # siblings over floor 0
IMPURE_MODULES = {"time", "random", "os", "socket", "requests", "structlog", "logging", "subprocess", "threading"}
IMPURE_METHODS = {"read_text", "read_bytes", "write_text", "write_bytes"}
SEEDED = "random.Random"  # with a seed it is a pure function of it; what the module itself draws is not
CLOCK_METHODS = {"now", "utcnow", "today"}
LOGGING_MODULES = {"structlog", "logging"}
HTTP_MODULES = {"requests", "urllib3", "urllib.request", "http.client"}
HTTP_DOORS = {
    "runbook/cluster/http.py": {"requests", "urllib3"},
    "runbook/cluster/connections.py": {"requests", "urllib3"},
    "runbook/lab/agent_api.py": {"http.client"},  # the lab tests the adapters, so it may not see through their eyes
}
FILE_DOORS = {
    "runbook/__main__.py",  # of nothing, where a stream is closed
    "runbook/report/stream.py",
    "runbook/files.py",
    "runbook/journal/store.py",  # a journal is new, or taken up by files.py
    "runbook/lab/folder.py",  # a folder is held
    "runbook/lab/process.py",  # of /proc
    "runbook/lab/serving.py",  # a log that grows
}
PRINTERS = {"print", "echo", "secho"}
YAML_LOADERS = re.compile(r"yaml\.(\w+_)?load(_all)?")

FUNCTION_LINES, FUNCTION_WALL, FILE_LINES = 50, 70, 300
LONG_FUNCTIONS: frozenset[str] = frozenset()  # "path:name" of the few that may go up to the wall; each with its reason

NODE_IS_A_SYNTAX_TREES_WORD = (
    "runbook/playbook/",
    "runbook/cluster/inventory/",
    "runbook/simulation/scenario_parser.py",
)
MACHINE_PATH = re.compile(r"(?<![\w.$}>-])/(work|tmp|root)/")
REGISTRY = re.compile(r"\b(" + "|".join(("pypi", "pythonhosted", "debian", "npmjs", "golang")) + r")\.(org|net|com)\b")


@cache
def parsed(text: str) -> ast.Module:
    """Many rules look at each file, and none changes what it sees."""
    return ast.parse(text)


def unit_of(path: str) -> str:
    """``runbook/raft/model.py`` → ``raft``; ``runbook/clock.py`` → ``clock``."""
    return PurePosixPath(path).parts[1].removesuffix(".py")


def imports_of(path: str, text: str) -> Iterator[tuple[int, str]]:
    """Every import wherever it stands, as (line, absolute dotted name); also those by ``import_module("…")``."""
    for node in ast.walk(parsed(text)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = _absolute(path, node.level, node.module)
            yield from ((node.lineno, f"{package}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and _called(node) in {"import_module", "__import__"}:
            yield from ((node.lineno, arg.value) for arg in node.args[:1] if isinstance(arg, ast.Constant))


def _absolute(path: str, level: int, module: str | None) -> str:
    if not level:
        return module or ""
    folders = list(PurePosixPath(path).parent.parts)
    return ".".join(folders[: len(folders) - level + 1] + ([module] if module else []))


def _called(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _is(name: str, modules: set[str]) -> bool:
    return any(name == module or name.startswith(module + ".") for module in modules)


def imports_go_down(path: str, text: str) -> list[str]:
    here = unit_of(path)
    if here not in FLOORS:
        return [f"{path}: give {here} a floor"]
    return [f"{path}:{line}: {here} imports {name}" for line, name in imports_of(path, text) if _goes_up(here, name)]


def _goes_up(here: str, name: str) -> bool:
    parts = name.split(".")
    if parts[0] != "runbook" or len(parts) == 1 or parts[1] == "__version__":
        return False
    return FLOORS.get(parts[1], 99) > FLOORS[here] or parts[1] in NOT_FOR.get(here, set())


def circles_in(imports: Mapping[str, set[str]]) -> list[list[str]]:
    """Every set of units or modules of which each one needs, by whatever way round, each other one."""
    reached = {one: _reached_from(one, imports) for one in imports}
    groups = {tuple(sorted(other for other in reached[one] if one in reached.get(other, ()))) for one in imports}
    return sorted(list(group) for group in groups if group)


def _reached_from(start: str, imports: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        fresh = imports.get(waiting.pop(), set()) - found
        found |= fresh
        waiting.extend(fresh)
    return found


def floor_0_is_pure(path: str, text: str) -> list[str]:
    if FLOORS.get(unit_of(path)) != 0:
        return []
    impure = [(line, name) for line, name in imports_of(path, text) if _is(name, IMPURE_MODULES) and name != SEEDED]
    faults = [f"{path}:{line}: imports {name}" for line, name in impure]
    calls = [node for node in ast.walk(parsed(text)) if isinstance(node, ast.Call)]
    return faults + [f"{path}:{call.lineno}: calls {_called(call)}" for call in calls if _touches_the_world(call)]


def _touches_the_world(call: ast.Call) -> bool:
    name = _called(call)
    if isinstance(call.func, ast.Attribute) and name in CLOCK_METHODS:
        return ast.unparse(call.func.value).split(".")[-1] in {"datetime", "date"}
    return name == "open" or name in IMPURE_METHODS or (name == "Random" and not call.args)


def steps_do_not_log(path: str, text: str) -> list[str]:
    """The log is drawn from the events by report/, so nobody below may write one (I12)."""
    if FLOORS.get(unit_of(path), 0) >= FLOORS["journal"]:
        return []
    return [f"{path}:{line}: imports {name}" for line, name in imports_of(path, text) if _is(name, LOGGING_MODULES)]


def one_door_to_http(path: str, text: str) -> list[str]:
    barred = HTTP_MODULES - HTTP_DOORS.get(path, set())
    return [f"{path}:{line}: imports {name}" for line, name in imports_of(path, text) if _is(name, barred)]


def one_door_to_the_terminal(path: str, text: str) -> list[str]:
    """Whatever is printed passes the redactor, and is escaped."""
    calls = [node for node in ast.walk(parsed(text)) if isinstance(node, ast.Call)]
    return [f"{path}:{call.lineno}: calls {_called(call)}" for call in calls if _called(call) in PRINTERS]


def yaml_is_composed(path: str, text: str) -> list[str]:
    """Playbooks go through ``compose()`` for the marks; a loader would lose them, or build objects from tags."""
    calls = [(node.lineno, ast.unparse(node.func)) for node in ast.walk(parsed(text)) if isinstance(node, ast.Call)]
    used = calls + list(imports_of(path, text))
    return [f"{path}:{line}: {name}" for line, name in used if YAML_LOADERS.fullmatch(name)]


def files_have_one_door(path: str, text: str) -> list[str]:
    """In ``files.py`` a pipe in the place of a file is refused, and what is half written is never found."""
    if path in FILE_DOORS:
        return []
    calls = [node for node in ast.walk(parsed(text)) if isinstance(node, ast.Call) and _opens(node)]
    return [f"{path}:{call.lineno}: calls {ast.unparse(call.func)}" for call in calls]


def _opens(call: ast.Call) -> bool:
    if not isinstance(call.func, ast.Attribute):
        return _called(call) == "open"
    by_mode = call.func.attr == "open" and any(isinstance(each, ast.Constant) for each in call.args)  # path.open("rb")
    return by_mode or ast.unparse(call.func) == "os.open" or call.func.attr in IMPURE_METHODS


def a_name_has_one_place(path: str, text: str) -> list[str]:
    """It is imported from where it is made, so one search finds it; only ``extension.py`` gathers names for others.

    To a type checker ``dataclass.py`` gives on the library's decorator, whose place it takes.
    """
    if path in {"runbook/extension.py", "runbook/dataclass.py"}:
        return []
    imported = [node for node in ast.walk(parsed(text)) if isinstance(node, ast.Import | ast.ImportFrom)]
    again = [(node.lineno, a.name) for node in imported for a in node.names if a.asname == a.name]
    listed = [(number, "__all__") for number, line in enumerate(text.splitlines(), 1) if line.startswith("__all__")]
    return [f"{path}:{line}: exports {name} again" for line, name in again + listed]


def production_asserts_nothing(path: str, text: str) -> list[str]:
    """``python -O`` leaves them out, and to an operator one is a traceback without a word."""
    return [f"{path}:{node.lineno}: assert" for node in ast.walk(parsed(text)) if isinstance(node, ast.Assert)]


def classes_of(text: str) -> list[str]:
    """The classes at the top level of a module."""
    return [node.name for node in parsed(text).body if isinstance(node, ast.ClassDef)]


def functions_are_short(path: str, text: str) -> list[str]:
    every = [item for item in ast.walk(parsed(text)) if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)]
    functions = [item for item in every if (item.end_lineno or 0) - item.lineno >= FUNCTION_LINES]
    coded = _lines_of_code(text) if functions else set()  # to find them takes as long as all the rest
    return [fault for function in functions if (fault := _too_long(path, function, coded))]


def _too_long(path: str, function: ast.FunctionDef | ast.AsyncFunctionDef, coded: set[int]) -> str:
    span = set(range(function.lineno, (function.end_lineno or 0) + 1))
    lines = len((coded & span) - _docstring_lines(function))
    wall = FUNCTION_WALL if f"{path}:{function.name}" in LONG_FUNCTIONS else FUNCTION_LINES
    return f"{path}:{function.lineno}: {function.name} has {lines} lines of code" if lines > wall else ""


def _lines_of_code(text: str) -> set[int]:
    """Lines with more on them than space and a comment."""
    blank = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    tokens = [token for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type not in blank]
    return {line for token in tokens for line in range(token.start[0], token.end[0] + 1)}


def _docstring_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[int]:
    if ast.get_docstring(function, clean=False) is None:
        return set()
    return set(range(function.body[0].lineno, (function.body[0].end_lineno or 0) + 1))


def files_are_short(path: str, text: str) -> list[str]:
    lines = len(text.splitlines())
    return [f"{path}: {lines} lines, more than {FILE_LINES}"] if lines > FILE_LINES else []


def a_server_is_not_a_node(path: str, text: str) -> list[str]:
    """In Nomad a node is a client machine (docs/words.md). Names in JSON are strings, and strings are not looked at."""
    if path.startswith(NODE_IS_A_SYNTAX_TREES_WORD):
        return []
    names = [token for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type == tokenize.NAME]
    return [f"{path}:{token.start[0]}: {token.string}" for token in names if "node" in _words(token.string)]


def _words(identifier: str) -> set[str]:
    """``NodeIDs`` and ``dead_nodes`` both hold the word node."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", identifier).lower()
    return {word.removesuffix("s") for word in spaced.split("_")}


def names_no_machine(path: str, text: str) -> list[str]:
    """No path of somebody's machine and no package registry's host: a clone must work anywhere."""
    faults = []
    for number, line in enumerate(text.splitlines(), start=1):
        found = MACHINE_PATH.search(line) or REGISTRY.search(line)
        if found:
            faults.append(f"{path}:{number}: names {found.group()}")
    return faults


def targets_have_help(path: str, text: str) -> list[str]:
    """Of a Makefile: every target that a person may type says what it does; files' own rules are not typed."""
    targets = re.findall(r"^([a-z][\w-]*):(?!=)(.*)$", text, re.MULTILINE)
    return [f"{path}: {name} has no help" for name, rest in targets if not re.search(r"## \S", rest)]


PACKAGE_RULES: tuple[Rule, ...] = (
    imports_go_down,
    floor_0_is_pure,
    steps_do_not_log,
    one_door_to_http,
    one_door_to_the_terminal,
    yaml_is_composed,
    files_have_one_door,
    a_name_has_one_place,
    production_asserts_nothing,
    a_server_is_not_a_node,
)
PYTHON_RULES: tuple[Rule, ...] = (functions_are_short, files_are_short)
