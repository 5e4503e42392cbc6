"""Which cluster, and with which credentials: read from the environment as the cluster's own command line reads it.

One extension: ``NOMAD_ADDR`` and ``CONSUL_HTTP_ADDR`` may hold several addresses with commas between, as
``ETCDCTL_ENDPOINTS`` does, so that the one server whose address was noted down may be the one that died. Any that
answers is used to find the others, but for one at a unix socket, which names neither a scheme nor a port for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from runbook.cluster.access import check_readable, header_value, socket_path, split_address, system_authorities
from runbook.cluster.etcd import CLIENT_PORT
from runbook.cluster.hashicorp.adapter import HashiCorpCluster
from runbook.cluster.hashicorp.dialects import CONSUL, NOMAD
from runbook.cluster.http import HttpSettings
from runbook.cluster.port import Cluster
from runbook.cluster.vault.products import API_PORT, OPENBAO, VAULT, VaultProduct
from runbook.dataclass import dataclass
from runbook.errors import SettingsError
from runbook.files import read_limited

if TYPE_CHECKING:
    from runbook.cluster.etcd.adapter import EtcdCluster
    from runbook.cluster.vault.adapter import VaultCluster

TOKEN_LIMIT = 64 * 1024  # bytes of a file that holds a token
_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")


@dataclass(frozen=True)
class _AddressVariable:
    """Where a product's addresses stand, the usual port of its API, where user and password belong, and whether its
    API may be at a unix socket.
    """

    name: str
    port: int
    auth: str
    sockets: bool = False


ADDRESSES = {
    "nomad": _AddressVariable(NOMAD.variable, NOMAD.port, "NOMAD_HTTP_AUTH", sockets=True),
    "consul": _AddressVariable(CONSUL.variable, CONSUL.port, "CONSUL_HTTP_AUTH", sockets=True),
    "etcd": _AddressVariable("ETCDCTL_ENDPOINTS", CLIENT_PORT, "ETCDCTL_USER"),
    "vault": _AddressVariable(VAULT.addresses, API_PORT, ""),
    "openbao": _AddressVariable(OPENBAO.addresses, API_PORT, ""),
}


def cluster_from(
    environment: Mapping[str, str], *, read_only: bool, kind: str | None = None, patient: bool = True
) -> Cluster:
    """The cluster whose address is set, or of this ``kind``; else Nomad, by default at ``http://127.0.0.1:4646``.

    Several addresses may be given with commas between. ``patient``: a look may wait for a second sample of the leader's
    pulse. Raises :class:`SettingsError` naming the variable, and never showing a secret, before anything is sent.
    """
    return _CLUSTERS[kind or kind_named_by(environment)](environment, read_only, patient)


def kind_named_by(environment: Mapping[str, str]) -> str:
    """Nomad where none is. Raises SettingsError where two are: the wrong one must not lose a server."""
    named = [kind for kind, variable in ADDRESSES.items() if environment.get(variable.name)]
    if len(named) < 2:
        return named[0] if named else "nomad"
    variables = " and ".join(ADDRESSES[kind].name for kind in named)
    kinds = " or ".join(f"--kind {kind}" for kind in named)
    raise SettingsError(f"{variables} are set, and only one cluster can be meant", f"Say which: {kinds}")


def _nomad(environment: Mapping[str, str], read_only: bool, patient: bool) -> HashiCorpCluster:
    token = header_value("NOMAD_TOKEN", environment.get("NOMAD_TOKEN"))
    skip = environment.get("NOMAD_SKIP_VERIFY") in _TRUE
    settings = _settings(environment, "NOMAD", {"X-Nomad-Token": token} if token else {}, skip, read_only)
    addresses = _addresses(environment.get("NOMAD_ADDR") or "http://127.0.0.1:4646", ADDRESSES["nomad"], _as_given)
    return HashiCorpCluster(NOMAD, addresses, settings, environment.get("NOMAD_REGION") or None, patient=patient)


def _consul(environment: Mapping[str, str], read_only: bool, patient: bool) -> HashiCorpCluster:
    token = header_value("CONSUL_HTTP_TOKEN", environment.get("CONSUL_HTTP_TOKEN"))
    if environment.get("CONSUL_HTTP_TOKEN_FILE"):
        token = (
            header_value(
                "CONSUL_HTTP_TOKEN_FILE", _token_file("CONSUL_HTTP_TOKEN_FILE", environment["CONSUL_HTTP_TOKEN_FILE"])
            )
            or token
        )
    skip = environment.get("CONSUL_HTTP_SSL_VERIFY") in _FALSE
    settings = _settings(environment, "CONSUL", {"X-Consul-Token": token} if token else {}, skip, read_only)
    with_tls = environment.get("CONSUL_HTTP_SSL") in _TRUE
    addresses = _addresses(
        environment.get("CONSUL_HTTP_ADDR") or "http://127.0.0.1:8500",
        ADDRESSES["consul"],
        _with_tls if with_tls else _without_scheme,
    )
    return HashiCorpCluster(CONSUL, addresses, settings, None, patient=patient)


def _etcd(environment: Mapping[str, str], read_only: bool, _patient: bool) -> EtcdCluster:
    """As ``etcdctl`` reads it: an address without a scheme is https where TLS is set up."""
    from runbook.cluster.etcd.adapter import EtcdCluster

    user, colon, password = (environment.get("ETCDCTL_USER") or "").strip().partition(":")
    password = password if colon else environment.get("ETCDCTL_PASSWORD", "")
    certificate = _certificate(environment, "ETCDCTL_CERT", "ETCDCTL_KEY")
    with_tls = certificate or environment.get("ETCDCTL_CACERT")
    skip = environment.get("ETCDCTL_INSECURE_SKIP_TLS_VERIFY") in _TRUE
    verify = _verify(environment, "ETCDCTL_CACERT", "ETCDCTL_CAPATH", skip)
    settings = HttpSettings(verify=verify, certificate=certificate, read_only=read_only)
    given = environment.get("ETCDCTL_ENDPOINTS") or f"127.0.0.1:{CLIENT_PORT}"
    addresses = _addresses(given, ADDRESSES["etcd"], _https_unless_said if with_tls else _without_scheme)
    return EtcdCluster(addresses, settings, user or None, password)


def _vault(environment: Mapping[str, str], read_only: bool, _patient: bool) -> VaultCluster:
    return _vault_or_openbao(VAULT, ("VAULT",), environment, read_only)


def _openbao(environment: Mapping[str, str], read_only: bool, _patient: bool) -> VaultCluster:
    """As ``bao`` reads it: where its own variable is not set, Vault's is taken."""
    return _vault_or_openbao(OPENBAO, ("BAO", "VAULT"), environment, read_only)


def _vault_or_openbao(
    product: VaultProduct, prefixes: tuple[str, ...], environment: Mapping[str, str], read_only: bool
) -> VaultCluster:
    from runbook.cluster.vault.adapter import VaultCluster

    access = vault_access(environment, prefixes)
    named = replace(product, addresses=access.name("ADDR"), token=access.name("TOKEN"))
    return VaultCluster(named, access.addresses, replace(access.settings, read_only=read_only))


@dataclass(frozen=True)
class VaultAccess:
    """How to speak to Vault or OpenBao, and which variable says so: ``name("ADDR")``, for instance."""

    name: Callable[[str], str]
    addresses: tuple[str, ...]
    settings: HttpSettings
    namespace: str  # of secrets: what is asked for of a cluster is in the root's alone


def vault_access(environment: Mapping[str, str], prefixes: tuple[str, ...]) -> VaultAccess:
    """By the variables of the first of these prefixes that has one. Raises SettingsError, and never shows a secret."""

    def name(rest: str) -> str:
        named = [f"{prefix}_{rest}" for prefix in prefixes]
        return next((each for each in named if each in environment), named[0])

    for rest in ("CACERT_BYTES", "CLIENT_CERT_BYTES", "CLIENT_KEY_BYTES"):
        if environment.get(name(rest)):
            raise SettingsError(f"{name(rest)} is not supported", f"Give a file: {name(rest.removesuffix('_BYTES'))}")
    token = header_value(name("TOKEN"), environment.get(name("TOKEN"))) or _kept_token(environment, name("TOKEN_PATH"))
    settings = HttpSettings(
        headers={"X-Vault-Token": token} if token else {},
        plain={"X-Vault-Request": "true"},
        verify=_verify(environment, name("CACERT"), name("CAPATH"), _truth(environment, name("SKIP_VERIFY"))),
        certificate=_certificate(environment, name("CLIENT_CERT"), name("CLIENT_KEY")),
        server_name=environment.get(name("TLS_SERVER_NAME")) or None,
    )
    given = environment.get(name("ADDR")) or f"https://127.0.0.1:{API_PORT}"
    addresses = _addresses(given, _AddressVariable(name("ADDR"), API_PORT, ""), _as_given)
    return VaultAccess(name, addresses, settings, header_value(name("NAMESPACE"), environment.get(name("NAMESPACE"))))


def _truth(environment: Mapping[str, str], name: str) -> bool:
    text = environment.get(name) or "false"
    if text not in (*_TRUE, *_FALSE):
        raise SettingsError(f"{name} must be true or false")
    return text in _TRUE


def _kept_token(environment: Mapping[str, str], variable: str) -> str:
    """The token that a login of the product's own command line has kept; nothing where there was none."""
    kept = environment.get(variable) if variable.startswith("BAO_") else None
    home = environment.get("HOME")
    path = kept or (str(Path(home) / ".vault-token") if home else "")
    if not path or not Path(path).exists():
        return ""
    return header_value(path, _token_file(variable if kept else "the token that was kept", path))


_CLUSTERS: dict[str, Callable[[Mapping[str, str], bool, bool], Cluster]] = {
    "nomad": _nomad,
    "consul": _consul,
    "etcd": _etcd,
    "vault": _vault,
    "openbao": _openbao,
}


def _settings(
    environment: Mapping[str, str], prefix: str, headers: dict[str, str], skip_verify: bool, read_only: bool
) -> HttpSettings:
    http = "NOMAD_HTTP_AUTH" if prefix == "NOMAD" else "CONSUL_HTTP_AUTH"
    user, colon, password = (environment.get(http) or "").strip().partition(":")
    return HttpSettings(
        headers=headers,
        basic_auth=(user, password) if user or colon else None,
        verify=_verify(environment, f"{prefix}_CACERT", f"{prefix}_CAPATH", skip_verify),
        certificate=_certificate(environment, f"{prefix}_CLIENT_CERT", f"{prefix}_CLIENT_KEY"),
        read_only=read_only,
        server_name=environment.get(f"{prefix}_TLS_SERVER_NAME") or None,
    )


# -- addresses


def _addresses(text: str, variable: _AddressVariable, with_scheme: Callable[[str], str]) -> tuple[str, ...]:
    given = [part.strip() for part in text.split(",") if part.strip()]
    if not given:
        raise SettingsError(f"{variable.name} names no address")
    return tuple(dict.fromkeys(_address(address, variable, with_scheme) for address in given))


def _address(given: str, variable: _AddressVariable, with_scheme: Callable[[str], str]) -> str:
    """The words never repeat an address that is wrong: it may hold a password."""
    if given.startswith("unix:"):
        return _socket(given, variable)
    address = with_scheme(given).rstrip("/")
    if "@" in address:
        where = f"; put them as USER:PASSWORD in {variable.auth}" if variable.auth else ""
        raise SettingsError(f"{variable.name} must hold no user or password{where}")
    if split_address(address) is None:
        example = f"http://HOST:{variable.port}"
        raise SettingsError(f"{variable.name} must be an http:// or https:// address, such as {example}")
    return address


def _socket(given: str, variable: _AddressVariable) -> str:
    if not variable.sockets:
        raise SettingsError(f"{variable.name}: unix:// addresses are not supported; give http://HOST:{variable.port}")
    path = socket_path(given)
    if path is None:
        raise SettingsError(
            f"{variable.name}: a unix:// address names a socket by its whole path, as unix:///run/http.sock"
        )
    return f"unix://{path}"


def _as_given(address: str) -> str:
    return address


def _without_scheme(address: str) -> str:
    return address if "://" in address else f"http://{address}"


def _https_unless_said(address: str) -> str:
    return address if "://" in address else f"https://{address}"


def _with_tls(address: str) -> str:
    """``CONSUL_HTTP_SSL`` wins over an address that says http, as it does for Consul's own client."""
    return f"https://{address.partition('://')[2] or address}"


# -- credentials and TLS


def _verify(environment: Mapping[str, str], file: str, folder: str, skip: bool) -> bool | str:
    """The CA file before the folder, as the clusters' own clients choose; else the system's own CAs, as they do."""
    named = [name for name in (file, folder) if environment.get(name)]
    for name in named:
        check_readable(name, environment[name], is_folder=name == folder)
    if skip:
        return False
    return environment[named[0]] if named else system_authorities()


def _certificate(environment: Mapping[str, str], *names: str) -> tuple[str, str] | None:
    certificate, key = (environment.get(name) for name in names)
    if bool(certificate) != bool(key):
        raise SettingsError(f"{' and '.join(names)} go together: give both or neither")
    if not certificate or not key:
        return None
    for name, path in zip(names, (certificate, key), strict=True):
        check_readable(name, path, is_folder=False)
    return certificate, key


def _token_file(name: str, path: str) -> str:
    try:
        data = read_limited(path, TOKEN_LIMIT)
        if len(data) > TOKEN_LIMIT:
            raise SettingsError(f"{name}: {path} has more than {TOKEN_LIMIT // 1024} KiB")
        return data.decode()
    except OSError as error:
        raise SettingsError(f"{name}: {path}: {error.strerror}") from None
    except ValueError:
        raise SettingsError(f"{name}: {path}: not a text file") from None
