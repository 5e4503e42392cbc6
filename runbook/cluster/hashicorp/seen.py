"""What was heard from each address, put in order: whose words count, who is asked next, and why nobody answered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from runbook.errors import ClusterError, ErrorKind
from runbook.raft.model import Vantage


@dataclass(frozen=True)
class Seen:
    """One server's words, and what kept it from saying all of them."""

    vantage: Vantage
    error: ClusterError | None = None


def one_each(seen: Iterable[Seen]) -> tuple[Vantage, ...]:
    """Two addresses of one server are one vantage: its opinion counts once.

    Behind an address that several servers share nobody knows whose words these were, so only the name that was given
    is kept, and its own address, if that answered too, is believed before.
    """
    vantages = [each.vantage for each in seen]
    kept: dict[str, Vantage] = {}
    for vantage in sorted(vantages, key=lambda v: v.other_id is not None):
        kept.setdefault(vantage.server_id or vantage.url, vantage)
    chosen = {vantage.url for vantage in kept.values()}
    shared = {v.url: replace(v, configuration=None, members=None) for v in vantages if v.other_id is not None}
    return tuple(shared.get(v.url, v) for v in vantages if v.url in chosen)


def worth(vantage: Vantage) -> tuple[bool, int]:
    """Who is asked for the leader's configuration: the leader of the highest term, else one that may be asked."""
    return vantage.configuration is not None, (vantage.term or 0) if vantage.state == "Leader" else -1


def why_nobody(seen: Iterable[Seen], variable: str) -> ClusterError:
    """No server says who it is: every reason, and of these a refused token before all."""
    told = list(seen)
    errors = [each.error for each in told if each.error]
    if not errors:
        what = "; ".join(each.vantage.trouble or f"{each.vantage.url} has no server id" for each in told)
        return ClusterError(ErrorKind.UNREACHABLE, what, f"Name a server in {variable}")
    worst = next((error for error in errors if error.kind is ErrorKind.FORBIDDEN), errors[0])
    what = "; ".join(dict.fromkeys(error.sentence for error in [worst, *errors][:4]))
    return ClusterError(worst.kind, what, worst.next_action)
