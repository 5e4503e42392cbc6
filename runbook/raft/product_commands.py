"""The commands of each product by which a person looks at a cluster and removes a peer: its command line's, and curl's.

Their replies are read with awk, sed and grep alone, as an incident's host has no more.
"""

from __future__ import annotations

from runbook.dataclass import dataclass

_SPLIT = 'reply=$({}) && printf "%s\\n" "$reply" | tr "{{" "\\n"'  # each object of the JSON on a line of its own


@dataclass(frozen=True)
class Tool:
    """One way to ask and to change a cluster: its command line, or curl. Each is shell in which ``$id`` is the peer.

    Args:
        program: What must be there.
        peers: The command that lists the peers.
        listed: What holds where the peer is in that list.
        remove: The command that removes the peer.
        leader: What prints the leader's id, from that list; empty where the list does not tell.
        proof: Lines that stop where no quorum is behind the leader.
        heard: Lines behind them that stop where the others hear from the peer.
        save: The command that saves the cluster's state; empty where this way has none.
        before: Lines that the others need.
    """

    program: str
    peers: str
    listed: str
    remove: str
    leader: str = ""
    proof: tuple[str, ...] = ()
    heard: tuple[str, ...] = ()
    save: str = ""
    before: tuple[str, ...] = ()


@dataclass(frozen=True)
class Product:
    """``variable`` names the cluster to its command line, which reads the ``credentials`` by itself."""

    title: str
    variable: str
    credentials: str
    tools: tuple[Tool, ...]
    members: str
    final: bool = False


def _hashicorp_command(name: str, members: str, status: int, identify: str, save: str) -> Tool:
    """The tables of Nomad and Consul: Name ID Address State Voter; gossip's with the status in another column."""
    count = (
        f'$1 == "M" && ${status + 1} == "alive" {{ alive[$2] }} '
        '$1 == "P" && $6 == "true" { voters++; if ($2 in alive) live++ } '
        'END { print live + 0, "of", voters + 0; exit !(2 * live > voters) }'
    )
    both = "{ printf '%s\\n' \"$members\" | sed 's/^/M /'; printf '%s\\n' \"$peers\" | sed 's/^/P /'; }"
    return Tool(
        program=name,
        peers=f"{name} operator raft list-peers",
        leader="awk '$4 == \"leader\" { print $2 }'",
        listed="awk -v id=\"$id\" '$2 == id { found = 1 } END { exit !found }'",
        heard=(
            f"gossip=$(printf '%s\\n' \"$members\" | awk -v name=\"$name\" '$1 == name {{ print ${status} }}')",
            'case "$gossip" in failed|left|"") ;; *) stop "gossip calls it $gossip" ;; esac',
        ),
        proof=(
            f"members=$({members}) || stop 'the members cannot be listed'",
            f"alive=$({both} | awk '{count}') || stop \"no quorum: $alive voters are alive\"",
        ),
        remove=f"{name} operator raft remove-peer {identify}",
        save=save,
    )


def _ask(header: str, token: str, ca: str, cert: str, key: str) -> str:
    """The token goes by a pipe, as the process list shows the words of a command."""
    given = (("cacert", ca), ("cert", cert), ("key", key))
    files = " ".join(f'${{{name}:+--{flag} "${name}"}}' for flag, name in given)
    quiet = "curl -K - --noproxy '*' --fail --silent --show-error --max-time 20"
    return f'ask() {{ printf \'header = "{header}: %s"\\n\' "${{{token}:-}}" | {quiet} {files} "$@"; }}'


def _hashicorp_curl(name: str, address: str, ask: str, alive: str, save: str, proof: tuple[str, ...] = ()) -> Tool:
    return Tool(
        program="curl",
        before=(ask,),
        peers=_SPLIT.format(f'ask "${address}/v1/operator/raft/configuration"'),
        leader='sed -n \'/"Leader":true/s/.*"ID":"\\([^"]*\\)".*/\\1/p\'',
        listed='grep -qF "\\"ID\\":\\"$id\\""',
        heard=(
            f'members=$(ask "${address}/v1/agent/members") || stop "the members cannot be listed"',
            "one=$(printf '%s\\n' \"$members\" | sed 's/\"Tags\":{[^}]*}//g' | tr '{' '\\n' | "
            'grep -F "\\"Name\\":\\"$name\\"") || one=""',
            f'case "$one" in *\'"Status":{alive}\'*) stop "gossip calls it alive" ;; esac',
        ),
        proof=proof,
        remove=f'ask -X DELETE "${address}/v1/operator/raft/peer?id=$id"; echo',
        save=f'ask "${address}{save}" > {name}.snap',
    )


def _vault(command: str, prefix: str) -> tuple[Tool, Tool]:
    ask = _ask("X-Vault-Token", f"{prefix}_TOKEN", f"{prefix}_CACERT", f"{prefix}_CLIENT_CERT", f"{prefix}_CLIENT_KEY")
    address = f"${prefix}_ADDR/v1/sys/storage/raft"
    return (
        Tool(
            program=command,
            peers=f"{command} operator raft list-peers",
            leader="awk '$3 == \"leader\" { print $1 }'",
            listed="awk -v id=\"$id\" '$1 == id { found = 1 } END { exit !found }'",
            remove=f'{command} operator raft remove-peer "$id"',
            save=f"{command} operator raft snapshot save {command}.snap",
        ),
        Tool(
            program="curl",
            before=(ask,),
            peers=_SPLIT.format(f'ask "{address}/configuration"'),
            leader='sed -n \'/"leader":true/s/.*"node_id":"\\([^"]*\\)".*/\\1/p\'',
            listed='grep -qF "\\"node_id\\":\\"$id\\""',
            remove=f'ask -X POST -d "{{\\"server_id\\":\\"$id\\"}}" "{address}/remove-peer"; echo',
            save=f'ask "{address}/snapshot" > {command}.snap',
        ),
    )


_ETCDCTL = Tool(
    program="etcdctl",
    peers="etcdctl member list",
    listed="awk -F', ' -v id=\"$id\" '$1 == id { found = 1 } END { exit !found }'",
    proof=("etcdctl endpoint health || stop 'no quorum: nothing can be committed'",),
    remove='etcdctl member remove "$id"',
    save="etcdctl snapshot save etcd.snap",
)
_ETCD_CURL = Tool(
    program="curl",
    before=(_ask("Authorization", "ETCD_AUTH_TOKEN", "ETCDCTL_CACERT", "ETCDCTL_CERT", "ETCDCTL_KEY"),),
    peers=_SPLIT.format('ask -d "{}" "$ETCDCTL_ENDPOINTS/v3/cluster/member/list"'),
    listed='grep -qF "\\"ID\\":\\"$(printf %u "0x$id")\\""',  # its JSON gateway knows ids as decimal numbers
    proof=(
        'ask -d \'{"key":"AA==","limit":1}\' "$ETCDCTL_ENDPOINTS/v3/kv/range" >/dev/null || '
        "stop 'no quorum: a linearizable read is not answered'",
    ),
    remove='ask -d "{\\"ID\\":\\"$(printf %u "0x$id")\\"}" "$ETCDCTL_ENDPOINTS/v3/cluster/member/remove"; echo',
)
_CONSUL_ASK = _ask("X-Consul-Token", "CONSUL_HTTP_TOKEN", "CONSUL_CACERT", "CONSUL_CLIENT_CERT", "CONSUL_CLIENT_KEY")
_NOMAD_ASK = _ask("X-Nomad-Token", "NOMAD_TOKEN", "NOMAD_CACERT", "NOMAD_CLIENT_CERT", "NOMAD_CLIENT_KEY")
_CONSISTENT = (
    'ask "$CONSUL_HTTP_ADDR/v1/catalog/nodes?consistent" >/dev/null || '
    "stop 'no quorum: a consistent read is not answered'",
)
TRANSFER = {  # the command that moves the leadership; the new leader's id is known live
    "nomad": "nomad operator raft transfer-leadership -peer-id={}",
    "consul": "consul operator raft transfer-leader -id={}",
    "etcd": "etcdctl move-leader {}",
    "vault": "vault operator step-down",
    "openbao": "bao operator step-down",
}
RESTORE = {  # of a snapshot's file; etcd's members are stopped for it
    "nomad": "nomad operator snapshot restore {}",
    "consul": "consul snapshot restore {}",
    "vault": "vault operator raft snapshot restore {}",
    "openbao": "bao operator raft snapshot restore {}",
}
PRODUCTS = {
    "nomad": Product(
        "Nomad",
        "NOMAD_ADDR",
        "$NOMAD_TOKEN, $NOMAD_CACERT, $NOMAD_CLIENT_CERT, $NOMAD_CLIENT_KEY",
        (
            _hashicorp_command(
                "nomad", "nomad server members", 4, '-peer-id="$id"', "nomad operator snapshot save nomad.snap"
            ),
            _hashicorp_curl("nomad", "NOMAD_ADDR", _NOMAD_ASK, '"alive"', "/v1/operator/snapshot"),
        ),
        "nomad server members",
    ),
    "consul": Product(
        "Consul",
        "CONSUL_HTTP_ADDR",
        "$CONSUL_HTTP_TOKEN, $CONSUL_CACERT, $CONSUL_CLIENT_CERT, $CONSUL_CLIENT_KEY",
        (
            _hashicorp_command("consul", "consul members", 3, '-id="$id"', "consul snapshot save consul.snap"),
            _hashicorp_curl("consul", "CONSUL_HTTP_ADDR", _CONSUL_ASK, "1,", "/v1/snapshot", _CONSISTENT),
        ),
        "consul members",
    ),
    "etcd": Product(
        "etcd",
        "ETCDCTL_ENDPOINTS",
        "$ETCDCTL_USER, $ETCDCTL_PASSWORD, $ETCDCTL_CACERT, $ETCDCTL_CERT, $ETCDCTL_KEY; for curl $ETCD_AUTH_TOKEN, "
        "which /v3/auth/authenticate gives",
        (_ETCDCTL, _ETCD_CURL),
        "etcdctl endpoint health --cluster",
        final=True,
    ),
    "vault": Product(
        "Vault",
        "VAULT_ADDR",
        "$VAULT_TOKEN, $VAULT_CACERT, $VAULT_CLIENT_CERT, $VAULT_CLIENT_KEY",
        _vault("vault", "VAULT"),
        "vault operator members",
        final=True,
    ),
    "openbao": Product(
        "OpenBao",
        "BAO_ADDR",
        "$BAO_TOKEN, $BAO_CACERT, $BAO_CLIENT_CERT, $BAO_CLIENT_KEY",
        _vault("bao", "BAO"),
        "bao operator members",
        final=True,
    ),
}
