"""An authority of a test's own, and what it has signed, by openssl."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

AUTHORITY = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {0}.key -out {0}.pem -subj /CN={0}\n"
)
LEAF = """\
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {0}.key -out {0}.csr -subj /{3}
printf 'subjectAltName={2}\\nextendedKeyUsage=serverAuth,clientAuth\\n' > {0}.ext
openssl x509 -req -in {0}.csr -CA {1}.pem -CAkey {1}.key -CAcreateserial -out {0}.pem -days {4} -extfile {0}.ext
"""


def make_certificates(folder: Path, hosts: Iterable[str], *names: str) -> None:
    """``server`` for these, ``client`` and ``named`` with a common name, all by ``ca``; ``stranger`` by ``other``; and
    ``late`` and ``past``, a server's and a client's that have expired.

    Each is ``NAME.pem`` and ``NAME.key`` in the folder, and so are the authorities.
    """
    folder.mkdir(parents=True)
    places = ",".join([*(f"IP:{host}" for host in hosts), *(f"DNS:{name}" for name in names)])
    leaves = [
        ("server", "ca", places, "CN=server", 2),
        ("late", "ca", places, "CN=server", -1),
        ("client", "ca", "DNS:client", "O=client", 2),
        ("named", "ca", "DNS:client", "CN=root", 2),
        ("past", "ca", "DNS:client", "O=client", -1),
        ("stranger", "other", "DNS:client", "O=client", 2),
    ]
    script = AUTHORITY.format("ca") + AUTHORITY.format("other") + "".join(LEAF.format(*leaf) for leaf in leaves)
    subprocess.run(["sh", "-euc", script], cwd=folder, check=True, capture_output=True)
