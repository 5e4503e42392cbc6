"""What the hosts of a cluster without quorum say: of the survivors, and of the servers that would be left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from runbook.errors import StepError, unexpected
from runbook.raft.lost_quorum import left_out_of, peers_of, survivors_of
from runbook.raft.model import ClusterView, Peer
from runbook.raft.opinions import HostWord
from runbook.raft.recovery_files import RaftFiles, files_of
from runbook.raft.removal import Refusal

if TYPE_CHECKING:
    from runbook.hosts.spec import HostSpec

SPARE = 10 * 1024  # KiB that must be left beside the copy: for the file, and for what the server writes as it starts


def specs_by_peer(hosts: Mapping[str, HostSpec], peers: tuple[Peer, ...]) -> dict[str, HostSpec]:
    """By the peers' ids. Raises StepError for a host of nobody, for two hosts of one server, and for half a host."""
    found: dict[str, HostSpec] = {}
    for server, spec in hosts.items():
        if not spec.data_folder or not (spec.unit or (spec.stop and spec.start)):
            raise unexpected(f"the host of {server} needs data_folder, and service with unit or with stop and start")
        meant = [peer for peer in peers if server in names_of(peer)]
        if len(meant) != 1 or meant[0].id in found:
            known = ", ".join(sorted(peer.label for peer in peers)) or "nobody"
            raise unexpected(f"the host {server} belongs to no server, or to several", f"The servers are: {known}")
        found[meant[0].id] = spec
    return found


def names_of(peer: Peer) -> set[str]:
    """All that a person may call it."""
    return {peer.id, peer.address, peer.label, peer.label.partition(".")[0]}


def survivor_fault(spec: HostSpec, peer: Peer, files: RaftFiles) -> Refusal | None:
    """Why this host cannot be the survivor's, or its server could not read the file. Raises HostError."""
    from runbook.hosts.host import Host, Running

    host, raft = Host(spec), f"{spec.data_folder}/{files.raft}"
    if host.kind_of(raft) != "folder":
        sentence = f"{spec.label}: {raft} is no folder"
        return Refusal(
            "NoDataFolder", sentence, f"Correct data_folder: {files.kind}'s own, which has {files.raft} in it"
        )
    if not files.tells_id:
        seen = host.examine(peer.address, files.id_file)
        if seen.server_id not in ("", peer.id) or not (seen.owns_address and seen.listens):
            id_or_none = f"the id there is {seen.server_id[:60]}" if seen.server_id else "no process listens there"
            sentence = f"{spec.label}: {id_or_none}, and {peer.label} is {peer.id} at {peer.address}"
            return Refusal("WrongHost", sentence, "Correct which host belongs to which server")
    elif peer.id != peer.address:
        found = (host.read_file(f"{spec.data_folder}/{files.id_file}") or "").strip()
        if found != peer.id:
            sentence = f"{spec.label}: the id there is {found[:60] or 'missing'}, and {peer.label} is {peer.id}"
            return Refusal("WrongHost", sentence, "Correct which host belongs to which server")
    if host.kind_of(f"{raft}/{files.like}") != "file":
        sentence = f"{spec.label}: there is no {raft}/{files.like}, so the server would not read peers.json"
        return Refusal("NoPeersInfo", sentence, "Start and stop this server once, which makes it; then run this again")
    copied = f"{spec.data_folder}/{files.copied}".rstrip("/")
    needed, free = host.room_for_copy(copied)
    if free < needed + SPARE:
        sentence = f"{spec.label}: a copy of {copied} needs {needed} KiB, and {free} KiB are free there"
        return Refusal("NoRoom", sentence, f"Make room for {needed + SPARE - free} KiB more")
    if host.service().running is Running.STOPPED:
        sentence = f"{spec.label}: no process has {spec.data_folder} open, and {peer.label} answers"
        return Refusal("WrongHost", sentence, "Correct the host or the data folder")
    return None


def words_of_hosts(view: ClusterView, hosts: Mapping[str, HostSpec]) -> dict[str, HostWord]:
    """What the hosts of the servers that do not answer say, by the servers' ids. Raises StepError as specs_by_peer."""
    files = files_of(view.cluster.partition(":")[0])
    peers = peers_of(view)
    if isinstance(files, Refusal) or not peers or not hosts:
        return {}
    specs = specs_by_peer(hosts, peers)
    silent = left_out_of(view, survivors_of(view))
    return {peer.id: left_out_word(specs[peer.id], peer, files) for peer in silent if peer.id in specs}


def left_out_word(spec: HostSpec, peer: Peer, files: RaftFiles) -> HostWord:
    """Fenced is: disabled, and without a Raft folder. A host that does not answer says nothing for it."""
    from runbook.hosts.host import Host, word_of

    host = Host(spec)
    try:
        seen = host.examine(peer.address, files.id_file)
        empty = host.kind_of(f"{spec.data_folder}/{files.raft}") == "nothing"
    except StepError as error:
        return HostWord(stopped=False, words=f"nothing could be seen there: {error.sentence}")
    word = word_of(spec, peer, seen)
    if not word.stopped:
        return word
    words = f"{word.words}, {'no' if empty else 'its old'} Raft folder is there"
    return replace(word, fenced=empty and seen.service.disabled, words=words)
