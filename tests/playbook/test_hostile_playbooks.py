"""Files made to hurt are refused in well under a second and in bounded memory."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest
import yaml

from tests.playbook.cases import diagnostics_of
from tests.processor import allowed

MIB = 1 << 20
HEAD = "runbook: 1\nname: x\n"
BILLION = "\n".join(
    [
        "a: &a [x,x,x,x,x,x,x,x,x]",
        *(f"{b}: &{b} [{','.join(['*' + a] * 9)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
    ]
)
STEPS = HEAD + "steps:\n"
PARAMS = HEAD + "params:\n"

WITHOUT_ORDER = f"{3**568:b}".translate({ord("0"): "a", ord("1"): "b"})
"""Nine hundred letters."""

HOSTILE = {
    "aliases that explode": (BILLION, "anchors and aliases"),
    "an alias to itself": ("a: &a [*a]", "anchors and aliases"),
    "a hundred megabytes": ("#" * (100 * MIB), "the file has 104,857,600 bytes; a playbook may have 2,097,152"),
    "a million lists in lists": ("[" * (MIB - 1), "nested deeper than 40 levels"),
    "deep block lists": ("- " * 100_000, "nested deeper than 40 levels"),
    "deep mappings": ("{a: " * 100_000, "nested deeper than 40 levels"),
    "deep mappings in keys": ("? " * 100_000, "nested deeper than 40 levels"),
    "deep indentation": ("".join(" " * i + "a:\n" for i in range(1_000)), "nested deeper than 40 levels"),
    "half a million values": ("[" + "a," * (MIB // 2 - 10) + "]", "more than 150,000 values"),
    "as many anchors as fit": ("- &a x\n" * 100_000, "100 errors or more"),
    "as many documents as fit": ("--- a\n" * 100_000, "a second one begins here"),
    "ten thousand unknown keys": ("".join(f"stepz{i}: 1\n" for i in range(4_900)), "100 errors or more"),
    "a key of a megabyte": ("a" * (MIB - 10) + ": 1", "YAML syntax"),
    "a quoted key of a megabyte": ('? "' + "s" * (MIB - 20) + '"\n: 1', "has no key"),
    "a scalar of a megabyte": ("x: " + "s" * (MIB - 10), "has no key"),
    "a name of a megabyte": ("runbook: 1\nname: " + "s" * (MIB - 100), '"name" of the playbook needs letters'),
    "a number of a megabyte": ("runbook: " + "9" * (MIB - 10), '"runbook" of the playbook must be an int'),
    "nothing but NUL bytes": ("\0" * MIB, "100 errors or more"),
    "a comment and no more": ("#" * MIB, "the file is empty"),
    "lines and no more": ("\n" * MIB, "the file is empty"),
    "tabs and no more": ("a:\n" + "\t\n" * (MIB // 4), "a tab"),
    "openings of expressions": (STEPS + "- uses: " + "${{ " * 200_000, "cannot hold an expression"),
    "unclosed expressions": (STEPS + "- uses: x\n  with: { a: '" + "${{ '' " * 140_000 + "' }", "begins here"),
    "a hundred thousand expressions": (
        STEPS + "- uses: x\n  with: { a: '" + "${{1}}" * 150_000 + "' }",
        "too many, or too large together",
    ),
    "large expressions": (
        STEPS + "- uses: x\n  with:\n" + "".join(f"    a{i}: ${{{{ [{'1,' * 190}1] }}}}\n" for i in range(2_400)),
        "too many, or too large together",
    ),
    "errors at the end of a long text": (
        STEPS + "- uses: x\n  with: { a: '" + "y" * 1_000_000 + "${{ nobody }}" * 500 + "' }",
        "is not defined",
    ),
    "thousands of steps": (STEPS + "- uses: raft.snapsho\n" * 3_300, "100 errors or more"),
    "steps with ids alike": (
        STEPS + "".join(f"- {{ id: a{i}, uses: x, if: b{i}.x }}\n" for i in range(1_400)),
        "100 errors or more",
    ),
    "a text that is held against patterns of many ways": (
        PARAMS
        + "".join(
            f"  a{i}: {{ type: string, pattern: '((a?){{235}})*', default: {'a' * 1000} }}\n" for i in range(500)
        ),
        'the playbook needs the key "steps"',
    ),
    "a text that leads each pattern on another way": (
        PARAMS
        + "".join(
            f"  a{i}: {{ type: string, pattern: '([ab]*a){{60}}.*', default: {WITHOUT_ORDER} }}\n" for i in range(500)
        ),
        "which cannot be checked: there are too many ways to match it",
    ),
    "as many patterns as fit": (
        PARAMS + "".join(f"  a{i}: {{ type: string, pattern: '((a?){{220}}.{{{i}}})*' }}\n" for i in range(12_000)),
        '"params" holds 12,000 names; a playbook may have 500',
    ),
    "names alike": (
        STEPS
        + "".join(f"- {{ id: stepnumber{i}, uses: raft.snapshot }}\n" for i in range(1_900))
        + "".join(f"- {{ uses: x, if: stepnumbers{i} }}\n" for i in range(90)),
        "100 errors or more",
    ),
}


@pytest.mark.parametrize(("text", "message"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_file_is_refused_quickly(text: str, message: str) -> None:
    """The worst of these takes a quarter of the second that is allowed for a slow machine."""
    begun = time.process_time()  # what others do on this machine is not counted
    diagnostics = diagnostics_of(text.encode())
    assert time.process_time() - begun < allowed(1.0)
    assert any(message in diagnostic.message for diagnostic in diagnostics)
    assert sum(len(diagnostic.render()) for diagnostic in diagnostics) < 100_000


@pytest.mark.parametrize(
    "name", ["aliases that explode", "deep mappings", "half a million values", "openings of expressions"]
)
def test_a_hostile_file_takes_bounded_memory(name: str) -> None:
    """A file of a megabyte costs tens of them at most, however it is made."""
    data = HOSTILE[name][0].encode()
    tracemalloc.start()
    try:
        diagnostics_of(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 64 * MIB


@pytest.mark.parametrize(
    "name", ["aliases that explode", "a million lists in lists", "deep block lists", "deep mappings"]
)
def test_a_hostile_file_is_refused_without_libyaml(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pure Python parser is slower, and has no deeper recursion to fall into."""
    monkeypatch.delattr(yaml, "CBaseLoader", raising=False)
    text, message = HOSTILE[name]
    assert any(message in diagnostic.message for diagnostic in diagnostics_of(text.encode()))


def test_whatever_the_yaml_parser_raises_is_reported_as_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not all of PyYAML's errors have a place, and none of them may reach an operator."""

    def refuse(*_args: object, **_keywords: object) -> None:
        raise yaml.YAMLError("no place")

    monkeypatch.setattr(yaml.CBaseLoader, "get_event", refuse)
    assert [diagnostic.message for diagnostic in diagnostics_of(b"runbook: 1")] == ["this is not YAML"]


def test_forty_levels_are_enough_and_one_more_is_refused() -> None:
    """The limit is where it says it is."""
    for levels, refused in ((40, False), (41, True)):
        found = [diagnostic.message for diagnostic in diagnostics_of(f"{'[' * levels}{']' * levels}".encode())]
        assert ("nested deeper than 40 levels" in found) is refused


LIMITED = """
import json, os, resource, sys
from runbook.cli import validate
from runbook.cli.main import main
resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20))
started = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
for path in sys.argv[1:]:  # a child each, which is a process that has started and has read nothing yet
    child = os.fork()
    if child == 0:
        sys.stdout, sys.stderr = open(os.devnull, "w"), open(path + ".said", "w")
        main(["validate", path])
    _, status, usage = os.wait4(child, 0)
    code = os.waitstatus_to_exitcode(status)
    print(json.dumps([code, usage.ru_maxrss // 1024, started + usage.ru_utime + usage.ru_stime]))
"""
FILES = {
    **{name: text.encode() for name, (text, _) in HOSTILE.items()},
    "NUL bytes in between": b"runbook: 1\nname: a\0b\n",
    "UTF-16": "runbook: 1\n".encode("utf-16"),
    "UTF-32": "runbook: 1\n".encode("utf-32"),
    "a wrong encoding": b"name: caf\xe9",
    "surrogates": b"name: \xed\xa0\x80",
    "an unfinished character": b"name: \xf0\x9f\x98",
    "duplicate keys": b"a: 1\n" * 100_000,
    "tabs": b"\ta: 1\n" * 100_000,
    "merge keys": b"- <<: {a: 1}\n" * 60_000,
    "as many values as fit": b"a: [" + b"{b: c}," * 49_000 + b"]",
    "quotes that are never closed": b"a: '" * 400_000,
    "a gzip file": b"\x1f\x8b\x08\0\0\0\0\0",
}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the peak of a process's memory has another unit")
def test_the_command_refuses_each_hostile_file_in_a_second_and_100_megabytes(tmp_path: Path) -> None:
    """Start-up counted: processor time of the whole process, its peak memory, exit 2, and no traceback."""
    paths = {name: tmp_path / f"{number}.yaml" for number, name in enumerate(FILES)}
    for name, path in paths.items():
        path.write_bytes(FILES[name])
    command = [sys.executable, "-c", LIMITED, *map(str, paths.values())]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    longest = allowed(1.0)
    for (name, path), line in zip(paths.items(), ended.stdout.splitlines(), strict=True):
        code, megabytes, seconds = json.loads(line)
        said = Path(f"{path}.said").read_text(encoding="utf-8")
        assert code == 2, (name, said[-500:])
        assert said.startswith(f"{path}:"), (name, said[:500])
        assert "Traceback" not in said, name
        assert megabytes < 100, name
        assert seconds < longest, name
