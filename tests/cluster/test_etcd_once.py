"""A member's own command with a few other settings: they go where that member reads its settings from."""

from __future__ import annotations

import json

import pytest

from runbook.cluster.etcd.once import config_file_of, setting, started_once
from runbook.errors import StepError
from runbook.hosts.process_command import ProcessCommand, process_command, read_process_command

OPTIONS = ProcessCommand(
    "/usr/bin/etcd", "/", ("--name", "s1", "--data-dir=/d"), {"ETCD_INITIAL_CLUSTER": "s1=http://a:1"}
)
FILE = ProcessCommand("/usr/bin/etcd", "/", ("--config-file=/etc/etcd.yaml",), {})
CONFIG = "name: s1\ninitial-advertise-peer-urls: http://a:1\nlog-outputs: [default]\n"
FORCED = {"force-new-cluster": True}


def test_options_come_last_and_the_variables_are_kept() -> None:
    """The last option counts, and every option more than a variable."""
    once = started_once(OPTIONS, None, FORCED, "/d.once.yaml")
    assert once.words[:3] == ("env", "ETCD_INITIAL_CLUSTER=s1=http://a:1", "/usr/bin/etcd")
    assert once.words[3:6] == OPTIONS.options
    assert (once.words[-1], once.config) == ("--force-new-cluster=true", None)


def test_a_file_is_copied_with_the_settings_in_it() -> None:
    """Beside --config-file etcd reads no option."""
    once = started_once(FILE, CONFIG, FORCED, "/d.once.yaml")
    assert once.words == ("/usr/bin/etcd", "--config-file=/d.once.yaml")
    told = json.loads(once.config or "")
    assert (told["name"], told["force-new-cluster"], told["log-outputs"]) == ("s1", True, ["stderr"])


@pytest.mark.parametrize(
    ("command", "config", "name", "found"),
    [
        (OPTIONS, None, "name", "s1"),
        (OPTIONS, None, "data-dir", "/d"),
        (OPTIONS, None, "initial-cluster", "s1=http://a:1"),
        (OPTIONS, None, "initial-advertise-peer-urls", ""),
        (FILE, CONFIG, "name", "s1"),
        (FILE, CONFIG, "initial-cluster", ""),
        (ProcessCommand("/e", "/", ("-name=a", "--name", "b"), {}), None, "name", "b"),
    ],
)
def test_a_setting_is_found_where_it_was_said(
    command: ProcessCommand, config: str | None, name: str, found: str
) -> None:
    assert setting(command, config, name) == found


def test_a_file_is_named_by_an_option_or_a_variable() -> None:
    by_variable = ProcessCommand("/e", "/", (), {"ETCD_CONFIG_FILE": "/x"})
    assert [config_file_of(each) for each in (OPTIONS, FILE, by_variable)] == [None, "/etc/etcd.yaml", "/x"]


@pytest.mark.parametrize("config", ["- a list", "a: [", "name: *alias"])
def test_a_file_that_is_no_plain_mapping_is_told(config: str) -> None:
    with pytest.raises(StepError):
        setting(FILE, config, "name")


def test_what_a_host_prints_is_read_and_kept_as_plain_data() -> None:
    printed = (
        "/usr/bin/etcd\n/\narg etcd\narg --name\narg s1\narg --data-dir=/d\nenv ETCD_INITIAL_CLUSTER=s1=http://a:1\n"
    )
    assert read_process_command(printed) == OPTIONS
    assert process_command(OPTIONS.record()) == OPTIONS


@pytest.mark.parametrize(
    "printed", ["", "/usr/bin/etcd\n/\n", "etcd\n/\narg etcd\n", "/e\n/\narg a\nsecond line of it\n"]
)
def test_what_cannot_be_told_is_no_command(printed: str) -> None:
    """Started with half of an option it would be another server."""
    assert read_process_command(printed) is None
