"""Which cluster, and with which credentials: read from the environment as the cluster's own command line reads it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from runbook.cluster.hashicorp import CONSUL, NOMAD, HashiCorpCluster
from runbook.cluster.http import Settings

_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")


class SettingsError(Exception):
    """The environment does not say which cluster, or contradicts itself: nothing was started."""


def cluster_from(environment: Mapping[str, str], *, read_only: bool) -> HashiCorpCluster:
    """Consul when only ``CONSUL_HTTP_ADDR`` is set, else Nomad, by default at ``http://127.0.0.1:4646`` (FACTS 6.1)."""
    if "CONSUL_HTTP_ADDR" in environment and "NOMAD_ADDR" not in environment:
        return _consul(environment, read_only)
    return _nomad(environment, read_only)


def _nomad(environment: Mapping[str, str], read_only: bool) -> HashiCorpCluster:
    token = environment.get("NOMAD_TOKEN")
    settings = Settings(
        headers={"X-Nomad-Token": token} if token else {},
        basic_auth=_basic(environment.get("NOMAD_HTTP_AUTH")),
        verify=_verify(environment, "NOMAD", environment.get("NOMAD_SKIP_VERIFY") in _TRUE),
        certificate=_certificate(environment, "NOMAD"),
        read_only=read_only,
    )
    address = _address(environment.get("NOMAD_ADDR") or "http://127.0.0.1:4646", "NOMAD_ADDR")
    return HashiCorpCluster(NOMAD, (address,), settings, environment.get("NOMAD_REGION") or None)


def _consul(environment: Mapping[str, str], read_only: bool) -> HashiCorpCluster:
    token = environment.get("CONSUL_HTTP_TOKEN")
    if "CONSUL_HTTP_TOKEN_FILE" in environment:
        token = _token_file(environment["CONSUL_HTTP_TOKEN_FILE"])
    settings = Settings(
        headers={"X-Consul-Token": token} if token else {},
        basic_auth=_basic(environment.get("CONSUL_HTTP_AUTH")),
        verify=_verify(environment, "CONSUL", environment.get("CONSUL_HTTP_SSL_VERIFY") in _FALSE),
        certificate=_certificate(environment, "CONSUL"),
        read_only=read_only,
    )
    address = environment["CONSUL_HTTP_ADDR"]
    if "://" not in address:
        scheme = "https" if environment.get("CONSUL_HTTP_SSL") in _TRUE else "http"
        address = f"{scheme}://{address}"
    return HashiCorpCluster(CONSUL, (_address(address, "CONSUL_HTTP_ADDR"),), settings, None)


def _address(text: str, name: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise SettingsError(f"{name} must be an http:// or https:// address")
    return text.rstrip("/")


def _basic(text: str | None) -> tuple[str, str] | None:
    if not text:
        return None
    user, _, password = text.partition(":")
    return user, password


def _verify(environment: Mapping[str, str], prefix: str, skip: bool) -> bool | str:
    if skip:
        return False
    return environment.get(f"{prefix}_CACERT") or environment.get(f"{prefix}_CAPATH") or True


def _certificate(environment: Mapping[str, str], prefix: str) -> tuple[str, str] | None:
    certificate = environment.get(f"{prefix}_CLIENT_CERT")
    key = environment.get(f"{prefix}_CLIENT_KEY")
    if bool(certificate) != bool(key):
        raise SettingsError(f"{prefix}_CLIENT_CERT and {prefix}_CLIENT_KEY go together: give both or neither")
    return (certificate, key) if certificate and key else None


def _token_file(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"CONSUL_HTTP_TOKEN_FILE: {path}: {error.strerror}") from None
