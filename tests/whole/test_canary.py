"""A secret that is told back in every encoding is found nowhere: by no command, in no form (I13)."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.command_line import Done, runbook
from tests.encodings import ENCODINGS
from tests.steps.server import serving

TOKEN = "5f1c8a52-0000-4000-8000-c4nary000001"
KEY = "first-c4nary-7f/31&b\"9é\nsecond-c4nary+'%41\\<>\nthird-c4nary-key=="
PLAYBOOK = """\
runbook: 1
name: canary
secrets:
  key: env:KEY
  made: exec:cat MADE
params:
  loose: { type: string, default: none }
  number: { type: int, default: 1 }
  file: { type: path, required: true }
  url: { type: url, required: true }
guards: { max_changes: 9 }
steps:
  - id: changed
    uses: command.run
    with: { argv: ["true"] }
    undo: { show: "cat ${{ params.loose }}" }
  - id: printed
    uses: command.run
    effect: read
    with: { argv: [cat, "${{ params.file }}"], env: { KEY: "${{ secrets.key }}", MADE: "${{ secrets.made }}" } }
  - id: replied
    uses: http.request
    effect: read
    with: { url: "${{ params.url }}/all", headers: { X-Key: "${{ secrets.made }}" } }
  - id: told
    uses: log.message
    with: { text: "${{ printed.stdout }} ${{ replied.body }} ${{ params.loose }} ${{ params.number }}" }
  - id: written
    uses: file.write
    with: { path: answer.txt, content: "${{ replied.body }}" }
  - id: fails
    uses: command.run
    effect: read
    retry: { times: 2, wait: 1ms }
    continue_on_failure: true
    with: { argv: [sh, -c, 'cat "$0" >&2; exit 3', "${{ params.file }}"] }
  - if: outcome(fails) == "failed"
    id: checked
    uses: assert
    with: { that: "${{ replied.status == 1 }}", else: "it said ${{ printed.stdout }}" }
on_failure:
  - uses: log.message
    with: { text: "${{ run.error }}" }
"""


def spelled(secret: str) -> set[str]:
    """What may not be seen: every encoding of it and of its lines, and what is within the quotes of each."""
    pieces = {secret, *secret.splitlines(), "made-c4nary-key"}
    texts = {encode(piece) for encode in ENCODINGS.values() for piece in pieces}
    return {text.strip(" \t\n\"'") for text in texts}


@pytest.fixture
def echo(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A file and a server that tell all of it; the server also as a cluster that refuses the token."""
    lines = [*(encode(KEY) for encode in ENCODINGS.values())]
    lines += [encode(line) for encode in ENCODINGS.values() for line in (*KEY.splitlines(), "made-c4nary-key")]
    file = tmp_path / "printed"
    file.write_text("\n".join(lines), encoding="utf-8")
    refusals = iter([encode(TOKEN) for encode in ENCODINGS.values()] * 100)
    with serving() as server:
        server.table["/all"] = 200, {"X-Echo": "made-c4nary-key"}, file.read_bytes()
        for path in ("/v1/agent/self", "/v1/agent/members"):
            server.table[path] = lambda: (403, {}, f"Permission denied: {next(refusals)}".encode())
        yield file, server.url


def told(done: Done) -> str:
    return done.stdout + done.stderr


def leaks(text: str, secrets: set[str]) -> list[str]:
    folded = text.casefold()
    return [secret for secret in secrets if secret.casefold() in folded]


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("dry", [(), ("--dry-run",), ("--dry-run", "--run-reads")])
def test_a_secret_that_is_told_back_in_every_encoding_is_found_nowhere(
    echo: tuple[Path, str], tmp_path: Path, form: str, dry: tuple[str, ...]
) -> None:
    """Journal, files of the run, screen, log, faults, and what every command says of the run afterwards."""
    file, url = echo
    (tmp_path / "made").write_text("made-c4nary-key", encoding="utf-8")
    (tmp_path / "canary.yaml").write_text(PLAYBOOK.replace("MADE\n", f"{tmp_path / 'made'}\n", 1), encoding="utf-8")
    environment = {**os.environ, "NOMAD_ADDR": url, "NOMAD_TOKEN": TOKEN, "KEY": KEY}
    words = ("--param", f"file={file}", "--param", f"url={url}", "--log-format", form, "--yes", "-v", *dry)
    said = ""
    for more in (("--param", f"loose={KEY}"), ("--param", f"number={KEY.splitlines()[0]}"), ("--param", "loose=")):
        said += told(runbook(environment, "execute", str(tmp_path / "canary.yaml"), *words, *more))
    for command in (
        ("show", "last"),
        ("show", "last", "--format", "json"),
        ("audit", "last"),
        ("audit", "last", "--format", "json"),
        ("runs",),
        ("resume", "last", "--yes"),
        ("report", "last", "--output", str(tmp_path / "page.html")),
        ("export", "last", "--output", str(tmp_path / "record.tar.gz")),
        ("report", "last", "--format", "markdown"),
        ("report", "last", "--format", "junit"),
        ("stop", "last"),
        ("prune", "--yes"),
    ):
        said += told(runbook(environment, *command))
    said += told(runbook(environment, "ack", "last", "--comment", f"it was {KEY}"))
    state = Path(os.environ["RUNBOOK_STATE_DIR"])
    written = "".join(path.read_text(encoding="utf-8") for path in state.rglob("*") if path.is_file())
    assert "c4nary" not in written.casefold().replace("canary", "")
    with tarfile.open(tmp_path / "record.tar.gz") as record:
        members = [record.extractfile(name) for name in record if name.isfile()]
        written += "".join(member.read().decode() for member in members if member)
    written += (tmp_path / "page.html").read_text(encoding="utf-8")
    assert leaks(written + said, spelled(KEY) | {TOKEN}) == []
    assert said.count("(secret)") > (0 if dry == ("--dry-run",) else len(ENCODINGS))


def test_a_token_that_a_cluster_tells_back_is_found_nowhere(echo: tuple[Path, str]) -> None:
    """By the commands that only look, in every form."""
    environment: Mapping[str, str] = {**os.environ, "NOMAD_ADDR": echo[1], "NOMAD_TOKEN": TOKEN}
    said = ""
    for _ in range(len(ENCODINGS)):
        for command in ("diagnose", "check"):
            for form in ((), ("--format", "json")):
                said += told(runbook(environment, command, *form))
    assert "Permission denied: (secret)" in said
    assert leaks(said, spelled(TOKEN)) == []


ACCESSOR = "9c0ffee5-0000-4000-8000-accessor0001"
DENIED = f"Permission denied: token with AccessorID '{ACCESSOR}' lacks permission 'operator:read'"
LOOKS = """\
runbook: 1
name: looks
steps:
  - uses: raft.snapshot
    with: { state: none }
"""


def test_which_token_was_refused_is_on_record_and_the_token_is_not(tmp_path: Path, state_dir: Path) -> None:
    """By its accessor, where the server tells it: so that somebody can give it the permission, or another one."""
    (tmp_path / "looks.yaml").write_text(LOOKS, encoding="utf-8")
    with serving() as server:
        for path in ("/v1/agent/self", "/v1/agent/members", "/v1/operator/raft/configuration"):
            server.table[path] = lambda: (403, {}, f"{DENIED} ({TOKEN})".encode())
        environment = {**os.environ, "CONSUL_HTTP_ADDR": server.url, "CONSUL_HTTP_TOKEN": TOKEN}
        commands = (["diagnose"], ["check"], ["check", "--format", "json"], ["execute", str(tmp_path / "looks.yaml")])
        said = {words[0]: told(runbook(environment, *words)) for words in commands}
    (journal,) = state_dir.glob("runs/*/journal.jsonl")
    said["journal"] = journal.read_text(encoding="utf-8")
    assert [name for name, text in said.items() if ACCESSOR not in " ".join(text.split())] == []
    assert leaks("".join(said.values()), spelled(TOKEN) | {TOKEN}) == []
