"""What a step says holds a value as it is or not at all, so that redaction by value leaves nothing of it (I13)."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runbook.errors import StepError
from runbook.steps.registry import CATALOG
from tests.steps.world import World

PIECE = 6  # characters of a secret in a row that would be a leak
letters = string.ascii_letters  # the words around a secret are made of them: a piece of one would be no leak
secrets = st.text(
    st.characters(exclude_categories=("C", "Z"), exclude_characters=letters), min_size=12, max_size=60
).filter(lambda text: len({text[at : at + PIECE] for at in range(len(text) - PIECE)}) > 5)
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def leaks(text: str, secret: str) -> list[str]:
    """Pieces of the secret that are left when the engine has taken it out by its value."""
    left = text.replace(secret, "")
    return [secret[at : at + PIECE] for at in range(len(secret) - PIECE + 1) if secret[at : at + PIECE] in left]


def spread(type_: str, secret: str) -> Any:
    """The secret in every corner of a value of this type."""
    return {
        "string": f"a {secret} b",
        "path": f"/x/{secret}",
        "any": {"key": [secret, {"deep": f"({secret})"}]},
        "list": ["x", secret, f"--token={secret}"],
        "map": {"X-Token": secret, "other": f"Bearer {secret}"},
        "url": f"https://hooks.example.org/{secret}",
    }[type_]


def told(world: World, name: str, arguments: dict[str, Any]) -> str:
    """The words of a dry run, also where it foresees that the step fails."""
    try:
        return world.dry(name, **arguments)[0]
    except StepError as error:
        return str(error)


@pytest.mark.parametrize("name", ["http.request", "command.run", "ssh.run", "ssh.copy", "file.write", "notify.webhook"])
@given(secret=secrets)
@quick
def test_the_words_of_a_dry_run_leave_nothing_of_a_secret(world: World, name: str, secret: str) -> None:
    """Also where nobody should have put it."""
    declaration = CATALOG[name]
    left_out = {*declaration.exactly_one[1:], *declaration.at_most_one[1:], "ca", "expect", "exits", "mode"}
    given_ = {
        field.name: spread(field.type, secret)
        for field in declaration.parameters
        if field.name not in left_out and field.type in ("string", "path", "any", "list", "map", "url")
    }
    assert leaks(told(world, name, given_), secret) == []
    for other in declaration.exactly_one[1:]:
        field = next(one for one in declaration.parameters if one.name == other)
        rest = {key: value for key, value in given_.items() if key not in declaration.exactly_one}
        assert leaks(told(world, name, {**rest, other: spread(field.type, secret)}), secret) == []


@given(secret=secrets, count=st.integers(1, 40), before=st.integers(0, 300))
@settings(quick, max_examples=25)
def test_the_words_of_a_failure_leave_nothing_of_a_secret(world: World, secret: str, count: int, before: int) -> None:
    """However much is said around it, and wherever the sentence is cut."""
    text = "x" * before + f" {secret}" * count + "." * (before % 7)
    with pytest.raises(StepError) as caught:
        world.run("command.run", argv=["sh", "-c", 'printf %s "$TEXT" >&2; exit 1'], env={"TEXT": text})
    assert leaks(str(caught.value), secret) == []


@pytest.mark.parametrize("fault", ["\n", "\r", "\x00", "\u20ac"])
def test_a_secret_that_cannot_be_sent_is_not_told(world: World, fault: str) -> None:
    """A file's last line break is the commonest one."""
    secret = f"pa\"ss'wo\\rd-canary{fault}"
    headers: dict[str, Any] = {"headers": {"X-Token": secret}}
    for arguments in (headers, {"url": f"http://127.0.0.1:1/{secret}"}):
        with pytest.raises(StepError) as caught:
            world.run("http.request", **{"url": "http://127.0.0.1:1/", **arguments})
        assert "canary" not in str(caught.value)


def test_what_is_kept_of_a_run_is_plain_data(world: World, tmp_path: Path) -> None:
    """Redaction walks through texts, lists and mappings, and through nothing else."""
    outputs = [
        world.run("command.run", argv=["echo", "x"])[1],
        world.run("file.write", path="x", content="x")[1],
        world.run("set", values={"a": ["x"]})[1],
    ]
    assert json.loads(json.dumps(outputs)) == outputs
