"""How a person looks at a cluster, saves its state, and removes dead servers: blocks of shell that stop by themselves.

A removal asks nobody whether it is safe, so each block looks first: a leader is there, and the same some seconds later,
as one that has lost its quorum does not lead for so long; the peer is listed and does not lead; nobody hears from it,
and nothing accepts connections at its port.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from runbook.by_hand import HandView, Instruction, ListedServer, duration_in_words, placeholder, shell_word
from runbook.playbook.types import is_number
from runbook.printable import printable_line
from runbook.raft.product_commands import PRODUCTS, Product, Tool

LEASE = 5  # seconds: longer than the lease of a leader of any product as it is usually set
_UNSETTLED = (
    " Its removal was asked for, and nobody saw what became of it: wait two minutes, as the servers may hold the "
    "request for so long, before this or any other removal."
)
_OR_CURL = "Or with curl alone:"
_PLAIN = re.compile(r"[A-Za-z0-9_.:\[\]-]+")  # in a URL and in JSON too
GONE_WITHIN = 15  # tries, two seconds apart, until the configuration lists a removed peer no more
UNREACHED = (
    "reached=$(curl --noproxy '*' --silent --output /dev/null --connect-timeout 3 --max-time 4 "
    "--write-out '%{remote_ip}' \"http://$address/\") || :"
)


def product_of(view: HandView) -> Product:
    """Its words."""
    return PRODUCTS[view.kind]


def name_the_cluster(view: HandView) -> tuple[Instruction, ...]:
    """The address of a server that answers, and which variables hold what must not be printed."""
    product = product_of(view)
    door = view.door or placeholder("the address of a server that answers")
    return (
        Instruction(
            f"In the shell of every block below. {product.title}'s own command line also reads {product.credentials}: "
            "set those that the cluster asks for.",
            (f"export {product.variable}={shell_word(door)}",),
        ),
    )


def look_by_hand(view: HandView) -> tuple[str, ...]:
    """The peers, and what the servers say of each other."""
    product = product_of(view)
    return (product.tools[0].peers, product.members)


def save_by_hand(view: HandView) -> Iterator[Instruction]:
    """The state of the cluster, in either way."""
    for number, tool in enumerate(product_of(view).tools):
        if tool.save:
            yield Instruction(_OR_CURL if number else "", (*tool.before, tool.save))


def remove_by_hand(view: HandView, peer_id: str) -> Iterator[Instruction]:
    """The removal of one server: only of one that was judged dead with quorum proven is the command given."""
    if peer_id in view.gone:
        yield Instruction(f"{_label(view, peer_id)} is removed.")
        return
    if view.looked and peer_id not in view.proven:
        yield Instruction(
            f"{_label(view, peer_id)}: no command, as it is not judged dead with quorum proven. Remove nobody of whom "
            "the steps above do not show both; runbook diagnose says what would settle it."
        )
        return
    server = view.servers.get(peer_id) if view.looked else None
    if server and not (_PLAIN.fullmatch(server.id) and _PLAIN.fullmatch(server.address)):
        yield Instruction(f"{_label(view, peer_id)}: no command, as its id or address holds what a shell would read.")
        return
    unknown = ListedServer(placeholder("ID"), placeholder("NAME"), placeholder("IP:PORT"))
    product = product_of(view)
    for number, tool in enumerate(product.tools):
        text = _OR_CURL if number else _warning(view, product, server)
        yield Instruction(text, tuple(_block(tool, server or unknown)))


def _label(view: HandView, peer_id: str) -> str:
    server = view.servers.get(peer_id)
    return printable_line(f"{server.name} ({server.address})" if server else peer_id)


def _warning(view: HandView, product: Product, server: ListedServer | None) -> str:
    who = printable_line(f"{server.name} ({server.address}), id {server.id}") if server else "For each dead server"
    final = " It cannot come back with its data." if product.final else ""
    late = _UNSETTLED if server and server.id in view.unsettled else ""
    return f"{who}.{final}{late} The block stops by itself before it removes, where anything is not as it must be."


def _block(tool: Tool, server: ListedServer) -> Iterator[str]:
    """One command to paste."""
    id_, name, address = (shell_word(printable_line(each)) for each in (server.id, server.name, server.address))
    yield "sh -eu <<'BY_HAND'"
    yield f"id={id_} name={name} address={address}"
    yield 'stop() { echo "STOPPED, $name was not removed: $1" >&2; exit 1; }'
    yield 'case "$id" in "<"*) stop "fill in id, name and address" ;; esac'
    yield from _ask(tool)
    yield "before=''"
    yield "for look in 1 2; do"
    yield from (f"  {line}" for line in _looks(tool))
    yield "done"
    yield UNREACHED
    yield _stop_unless('[ -z "$reached" ]', "something accepts connections at $address")
    yield tool.remove if server.id.startswith("<") else tool.remove.replace('"$id"', id_)
    yield "try=0"
    yield f'while [ "$((try += 1))" -le {GONE_WITHIN} ]; do'
    yield '  if peers=$(peers) && ! listed; then echo "$name is removed"; exit 0; fi'
    yield "  sleep 2"
    yield "done"
    yield 'echo "$name was to be removed, and is listed still: look at it" >&2; exit 1'
    yield "BY_HAND"


def _ask(tool: Tool) -> Iterator[str]:
    for program in dict.fromkeys((tool.program, "curl")):
        yield _stop_unless(f"command -v {program} >/dev/null", f"{program} is not on this host")
    yield from tool.before
    yield f"peers() {{ {tool.peers}; }}"
    yield f"listed() {{ printf '%s\\n' \"$peers\" | {tool.listed}; }}"


def _looks(tool: Tool) -> Iterator[str]:
    """Twice: a leader that has lost its quorum answers for some seconds yet."""
    yield _stop_unless("peers=$(peers)", "nobody tells who the peers are; is there a leader?")
    if tool.leader:
        yield f"leader=$(printf '%s\\n' \"$peers\" | {tool.leader})"
        yield _stop_unless('[ -n "$leader" ]', "there is no leader")
        yield _stop_unless('[ "${before:-$leader}" = "$leader" ]', "another one leads now")
        yield _stop_unless('[ "$leader" != "$id" ]', "it leads")
        yield "before=$leader"
    yield 'listed || { echo "$name is not listed: it is removed already"; exit 0; }'
    yield from tool.proof
    yield from tool.heard
    yield f'[ "$look" = 2 ] || sleep {LEASE}'


def _stop_unless(condition: str, otherwise: str) -> str:
    return f'{condition} || stop "{otherwise}"'


def verify_by_hand(view: HandView, watch_for: object) -> Iterator[Instruction]:
    """Nobody who was removed is listed, now and after a while."""
    removed = sorted(view.gone | view.proven)
    yield Instruction(
        "There is a leader, every server lists the same peers when it is asked at its own address, and nobody who was "
        f"removed is listed, now and {duration_in_words(watch_for)} later: a leader adds back who lives.",
        () if removed else look_by_hand(view),
    )
    for tool in product_of(view).tools if removed and is_number(watch_for) else ():
        yield Instruction(_OR_CURL if tool.program == "curl" else "", tuple(_watch(tool, removed, watch_for)))


def _watch(tool: Tool, removed: list[str], watch_for: object) -> Iterator[str]:
    yield "sh -eu <<'BY_HAND'"
    yield 'stop() { echo "NOT AS IT MUST BE: $1" >&2; exit 1; }'
    yield from _ask(tool)
    yield "for look in 1 2; do"
    yield _stop_unless("  peers=$(peers)", "nobody tells who the peers are; is there a leader?")
    if tool.leader:
        yield _stop_unless(f"  printf '%s\\n' \"$peers\" | {tool.leader} | grep -q .", "there is no leader")
    yield f"  for id in {' '.join(shell_word(printable_line(peer)) for peer in removed)}; do"
    yield '    if listed; then stop "$id is listed"; fi'
    yield "  done"
    yield from (f"  {line}" for line in tool.proof)
    yield f'  [ "$look" = 2 ] || sleep {watch_for:g}'
    yield "done"
    yield "echo 'there is a leader, and nobody who was removed is listed'"
    yield "BY_HAND"
