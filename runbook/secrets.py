"""Where secrets come from."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from threading import Lock
from typing import IO, Any

from runbook.doors import Purpose, check_network, check_program
from runbook.errors import ClusterError, SecretError, SettingsError
from runbook.files import read_limited
from runbook.playbook.expressions.model import UNKNOWN, Unknown
from runbook.playbook.model import Secret
from runbook.redaction import CREDENTIALS, SHORTEST, USER_AND_PASSWORD, Redactor, is_long_enough

LONGEST = 64 * 1024
AT_HAND = ("env", "file")
FETCH_WITHIN = 30.0  # seconds for a command that prints a secret


class SecretStore:
    """Fetches secrets by reference, each once and as late as it is needed, and tells the redactor first of all."""

    def __init__(self, environment: Mapping[str, str], redactor: Redactor) -> None:
        self._environment = environment
        self._redactor = redactor
        self._lock = Lock()
        self._fetched: dict[tuple[str, tuple[str, ...]], str] = {}  # a playbook within may use a name in another way

    def foresee(self, secrets: Iterable[Secret]) -> None:
        """Learn those that lie at hand, so that a param or a reply with the same value is hidden from the beginning."""
        for secret in secrets:
            if secret.source in AT_HAND:
                with contextlib.suppress(SecretError):  # told when it is needed, by the step that needs it
                    self.fetch(secret)

    def learn(self, secrets: Iterable[str]) -> None:
        """Hide these too, which nobody fetches: the credentials of the cluster."""
        self._redactor.learn_all(secrets)

    def hide(self, data: Any) -> Any:
        """As :meth:`Redactor.hide`."""
        return self._redactor.hide(data)

    def foretell(self, secret: Secret) -> str | Unknown:
        """For a step that is not done: what lies at hand, so that one that is missing is told; else it is unknown.

        Raises :class:`SecretError`. No command is run for it, and nobody is asked.
        """
        return self.fetch(secret) if secret.source in AT_HAND else UNKNOWN

    def fetch(self, secret: Secret) -> str:
        """Raises :class:`SecretError`."""
        reference = secret.source, secret.target
        with self._lock:  # steps that run beside each other: each is fetched once, and none is learnt over another
            if reference not in self._fetched:
                self._fetched[reference] = self._fetch(secret)
        return self._fetched[reference]

    def _fetch(self, secret: Secret) -> str:
        value = _SOURCES[secret.source](self._environment, secret)
        if not is_long_enough(value):
            raise SecretError(f"secret {secret.name} has fewer than {SHORTEST} characters: it could not be hidden")
        self._redactor.learn(value)
        return value


def _from_environment(environment: Mapping[str, str], secret: Secret) -> str:
    (name,) = secret.target
    if not environment.get(name):
        raise SecretError(f"secret {secret.name}: the environment variable {name} is not set")
    return environment[name]


def _from_file(_environment: Mapping[str, str], secret: Secret) -> str:
    (path,) = secret.target
    try:
        data = read_limited(Path(path).expanduser(), LONGEST)
        if len(data) > LONGEST:
            raise SecretError(f"secret {secret.name}: {path} has more than {LONGEST // 1024} KiB")
        return data.decode().removesuffix("\n")
    except OSError as error:
        raise SecretError(f"secret {secret.name}: {path}: {error.strerror}") from None
    except ValueError:
        raise SecretError(f"secret {secret.name}: {path} is not a text file") from None


def _from_command(environment: Mapping[str, str], secret: Secret) -> str:
    """Its own words on stderr are not kept: they may hold what it was to keep. It sees no credentials of a cluster."""
    argv = list(secret.target)
    check_program(argv, Purpose.READ)
    name = f"secret {secret.name}: {argv[0]}"
    try:
        process = subprocess.Popen(
            argv,
            env={key: value for key, value in environment.items() if key not in (*CREDENTIALS, *USER_AND_PASSWORD)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,  # so that all it started can be ended with it
        )
    except OSError as error:
        raise SecretError(f"{name}: {error.strerror}") from None
    with process:
        try:
            said = _heard(process.stdout, time.monotonic() + FETCH_WITHIN)  # type: ignore[arg-type]
            code = process.wait(1.0) if said is not None and len(said) <= LONGEST else None
        except subprocess.TimeoutExpired:
            said = None
        finally:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
    if said is None:
        raise SecretError(f"{name} did not end within {FETCH_WITHIN:g} s")
    if len(said) > LONGEST:
        raise SecretError(f"{name} printed more than {LONGEST // 1024} KiB")
    if code != 0:
        raise SecretError(f"{name} ended with {code}")
    try:
        return said.decode().removesuffix("\n")
    except ValueError:
        raise SecretError(f"{name} printed what is no text") from None


def _heard(pipe: IO[bytes], until: float) -> bytes | None:
    """All that it prints, or a byte more than is allowed; nothing where it has not ended in time."""
    said = b""
    with selectors.DefaultSelector() as pipes:
        pipes.register(pipe, selectors.EVENT_READ)
        while len(said) <= LONGEST:
            if not pipes.select(max(0.0, until - time.monotonic())):
                return None
            piece = os.read(pipe.fileno(), LONGEST)
            if not piece:
                break
            said += piece
    return said


def _from_vault(environment: Mapping[str, str], secret: Secret) -> str:
    """As Vault's own command line would, or OpenBao's where only that one's address is set."""
    from runbook.cluster.environment import vault_access
    from runbook.cluster.vault.key_value import read_text

    path, field = secret.target
    check_network("ask Vault for a secret")
    try:
        access = vault_access(environment, ("VAULT",) if environment.get("VAULT_ADDR") else ("BAO", "VAULT"))
        return read_text(access, path, field, FETCH_WITHIN)
    except (ClusterError, SettingsError) as error:
        raise SecretError(f"secret {secret.name}: {error.sentence}", error.next_action) from None


_SOURCES = {"env": _from_environment, "file": _from_file, "exec": _from_command, "vault": _from_vault}
