"""No form of a secret passes the redactor, and nothing else is hidden by it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runbook.redaction import HIDDEN, Redactor
from tests.encodings import ENCODINGS

SECRETS = {
    "a token": "5f1c8a52-0000-4000-8000-canary000001",
    "with what is escaped": "c4nary-7f/31&b\"9é<'+ %41\\n$x",
    "of three lines": "first-line-of-key/1+\nsecond-line-of-key\"2'\nthird-line-of-key&3",
    "as short as may be": "s3cr+/",
    "in another script": "пароль-密码-🔑key",
}


WITH_MORE = ("base64 of user and secret", "base64 within a document", "base64 in lines")


@pytest.mark.parametrize("name", ENCODINGS)
@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_every_encoding_of_a_secret_is_hidden(name: str, secret: str) -> None:
    """Whole, and each of its lines alone, wherever it stands."""
    redactor = Redactor()
    redactor.learn(secret)
    for text in (secret, *secret.splitlines()):
        spelled = ENCODINGS[name](text)
        hidden = redactor.hide(f"before ({spelled}) after")
        assert HIDDEN in hidden
        assert hidden.startswith("before (")
        assert hidden.endswith(") after")
        rest = hidden.replace(HIDDEN, "").removeprefix("before (").removesuffix(") after")
        assert sum(letter.isalnum() for letter in rest.replace("%3D", "")) < 2 or name in WITH_MORE, rest


LETTERS = st.characters(exclude_categories=["C", "Z"], include_characters=" ")
TEXTS = st.text(LETTERS, min_size=8, max_size=40).filter(lambda text: len("".join(text.split())) > 7)


@given(TEXTS, st.sampled_from(sorted(ENCODINGS)))
@settings(max_examples=300, deadline=None)
def test_whatever_the_secret_is(secret: str, name: str) -> None:
    """Found in every encoding of every text."""
    if name in ("upper case", "lower case") and not secret.isascii():
        return
    redactor = Redactor()
    redactor.learn(secret)
    spelled = ENCODINGS[name](secret)
    assert HIDDEN in redactor.hide(spelled)


def test_no_form_of_a_secret_that_is_part_of_ordinary_words_is_hidden() -> None:
    """A secret that is mostly spaces would else take a letter out of every word; a line of one too."""
    redactor = Redactor()
    redactor.learn("      a")
    redactor.learn("an\nis\nthe-secret-line")
    assert redactor.hide("a leader is an elected server") == "a leader is an elected server"
    assert redactor.hide({"x": ["it is The-Secret-Line."], "the-secret-line": 1}) == {
        "x": [f"it is {HIDDEN}."],
        HIDDEN: 1,
    }


def test_a_number_that_is_a_secret_is_hidden_and_others_are_not() -> None:
    """A param is a number where the playbook says so."""
    redactor = Redactor()
    redactor.learn("12345678")
    assert redactor.hide({"pin": 12345678, "size": 112345678, "ok": True, "none": None}) == {
        "pin": HIDDEN,
        "size": 112345678,
        "ok": True,
        "none": None,
    }


def test_a_secret_whose_line_is_broken_by_a_screen_is_hidden() -> None:
    """White space is any white space."""
    redactor = Redactor()
    redactor.learn("correct horse battery staple")
    assert redactor.hide("it was correct horse\n      battery  staple.") == f"it was {HIDDEN}."


def test_a_whole_key_in_a_large_reply_costs_little() -> None:
    """A bundle of 200 lines, and a reply of 256 KiB that is all escapes."""
    redactor = Redactor()
    redactor.learn("\n".join(f"line-{number}-of-the-key-{number * 7919}" for number in range(200)))
    text = "%41\\u0041&#65;+" * (256 * 1024 // 15) + "line-150-of-the-key-1187850"
    began = time.process_time()
    assert redactor.hide(text).endswith(HIDDEN)
    assert time.process_time() - began < 5.0


def test_the_credentials_of_every_kind_of_cluster_are_known_from_the_environment() -> None:
    """Of a user and a password the password; a file's name is no secret."""
    redactor = Redactor.of(
        {"CONSUL_HTTP_TOKEN": "consul-token", "ETCDCTL_USER": "root:etcd-password", "HOME": "/home/x"}
    )
    assert redactor.hide("consul-token root etcd-password /home/x") == f"{HIDDEN} root {HIDDEN} /home/x"
