"""What differs between Vault and OpenBao, which share one API: only what a person types and sets."""

from __future__ import annotations

from runbook.dataclass import dataclass

API_PORT = 8200


@dataclass(frozen=True)
class VaultProduct:
    """``command`` is its command line's name; ``addresses`` and ``token`` are where a person has set these."""

    kind: str
    title: str
    command: str
    addresses: str
    token: str


VAULT = VaultProduct("vault", "Vault", "vault", "VAULT_ADDR", "VAULT_TOKEN")
OPENBAO = VaultProduct("openbao", "OpenBao", "bao", "BAO_ADDR", "BAO_TOKEN")
