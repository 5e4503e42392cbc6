"""Where secrets come from, and how they are kept out of everything that is written (I13)."""

from __future__ import annotations

import base64
import contextlib
import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from runbook.errors import SecretError
from runbook.files import read_limited
from runbook.playbook.model import Secret

SHORTEST = 6  # characters: anything shorter is part of ordinary words, and hiding it would hide them
LONGEST = 64 * 1024
FETCH_WITHIN = 30.0  # seconds for a command that prints a secret
HIDDEN = "(secret)"


class Redactor:
    """Knows the secrets that were met so far, and hides them in data by value, whatever printed them."""

    def __init__(self) -> None:
        self._known: tuple[str, ...] = ()

    def learn(self, secret: str) -> None:
        """The secret and the forms in which it travels: in a URL, in JSON, in basic authentication."""
        if len(secret) < SHORTEST:
            return
        coded = base64.b64encode(secret.encode()).decode()
        forms = {secret, secret.strip(), quote(secret, safe=""), quote(secret), json.dumps(secret)[1:-1], coded}
        long_enough = {form for form in forms if len(form) >= SHORTEST}
        self._known = tuple(sorted({*self._known, *long_enough}, key=len, reverse=True))

    def hide(self, data: Any) -> Any:
        """The same data without them; mappings keep their keys' order, tuples become lists."""
        if not self._known:
            return data
        if isinstance(data, str):
            return self._hidden(data)
        if isinstance(data, Mapping):
            return {self.hide(key): self.hide(value) for key, value in data.items()}
        if isinstance(data, list | tuple):
            return [self.hide(item) for item in data]
        return data

    def _hidden(self, text: str) -> str:
        for secret in self._known:
            text = text.replace(secret, HIDDEN)
        return text


class Vault:
    """Fetches secrets by reference, each once and as late as it is needed, and tells the redactor first of all."""

    def __init__(self, environment: Mapping[str, str], redactor: Redactor) -> None:
        self._environment = environment
        self._redactor = redactor
        self._fetched: dict[tuple[str, tuple[str, ...]], str] = {}  # a playbook within may use a name in another way

    def foresee(self, secrets: Iterable[Secret]) -> None:
        """Learn those that lie at hand, so that a param or a reply with the same value is hidden from the beginning."""
        for secret in secrets:
            if secret.source in ("env", "file"):
                with contextlib.suppress(SecretError):  # told when it is needed, by the step that needs it
                    self.fetch(secret)

    def hide(self, data: Any) -> Any:
        """As :meth:`Redactor.hide`."""
        return self._redactor.hide(data)

    def fetch(self, secret: Secret) -> str:
        """Raises :class:`SecretError`."""
        reference = secret.source, secret.target
        if reference not in self._fetched:
            value = _SOURCES[secret.source](self._environment, secret)
            if len(value) < SHORTEST:
                raise SecretError(f"secret {secret.name} has fewer than {SHORTEST} characters: it could not be hidden")
            self._redactor.learn(value)
            self._fetched[reference] = value
        return self._fetched[reference]


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
    """Its own words on stderr are not repeated: they may hold what it was to keep."""
    argv = list(secret.target)
    try:
        done = subprocess.run(
            argv,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=FETCH_WITHIN,
            check=False,
        )
    except OSError as error:
        raise SecretError(f"secret {secret.name}: {argv[0]}: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise SecretError(f"secret {secret.name}: {argv[0]} gave nothing within {FETCH_WITHIN:g} s") from None
    if done.returncode != 0:
        raise SecretError(f"secret {secret.name}: {argv[0]} ended with {done.returncode}")
    return done.stdout[: LONGEST + 1].decode("utf-8", "replace").removesuffix("\n")


def _from_vault(environment: Mapping[str, str], secret: Secret) -> str:
    """By hvac, where the extra ``[vault]`` is installed; address, token and namespace as Vault's own command line."""
    path, field = secret.target
    try:
        import hvac  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        raise SecretError(
            f"secret {secret.name}: reading from Vault needs: pip install 'runbook-engine[vault]'"
        ) from None
    authority = environment.get("VAULT_CACERT")
    if authority and not Path(authority).is_file():
        raise SecretError(f"secret {secret.name}: VAULT_CACERT: {authority} is not a regular file")
    client = hvac.Client(
        url=environment.get("VAULT_ADDR", "https://127.0.0.1:8200"),
        token=environment.get("VAULT_TOKEN"),
        namespace=environment.get("VAULT_NAMESPACE"),
        verify=authority or True,
        timeout=FETCH_WITHIN,
    )
    try:
        read = client.read(path)
    except Exception as error:
        raise SecretError(f"secret {secret.name}: Vault at {path}: {type(error).__name__}") from None
    data = (read or {}).get("data", {})
    found = data.get("data", data).get(field) if isinstance(data, dict) else None
    if not isinstance(found, str):
        raise SecretError(f"secret {secret.name}: Vault holds no text {field} at {path}")
    return found


_SOURCES = {"env": _from_environment, "file": _from_file, "exec": _from_command, "vault": _from_vault}
