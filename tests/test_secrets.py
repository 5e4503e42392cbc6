"""Where secrets come from, and what is hidden of them."""

from __future__ import annotations

from runbook.errors import Mark
from runbook.playbook.model import Secret
from runbook.secrets import Redactor, Vault

MARK = Mark("a.yaml", 1, 1)


def test_one_name_in_two_playbooks_is_two_secrets() -> None:
    """A playbook within another declares its own: what it names is fetched, and not what the outer one fetched."""
    vault = Vault({"OUTER": "outer-secret", "INNER": "inner-secret"}, Redactor())
    found = [vault.fetch(Secret("hook", "env", (variable,), MARK)) for variable in ("OUTER", "INNER")]
    assert found == ["outer-secret", "inner-secret"]


def test_no_form_of_a_secret_that_is_part_of_ordinary_words_is_hidden() -> None:
    """A secret that is mostly spaces would else take a letter out of every word."""
    redactor = Redactor()
    redactor.learn("      a")
    assert redactor.hide("a leader was elected") == "a leader was elected"
    assert redactor.hide({"x": ["it is       a."]}) == {"x": ["it is (secret)."]}
