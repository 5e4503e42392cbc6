"""The commands of a recovery of etcd: one member begins a new cluster from its data, the others join it empty.

The setting reaches a member by its environment, in a file beside its unit that is gone with the next boot: it is read
however the unit's own options are written, but for ``--config-file``, beside which etcd reads no environment.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from runbook.raft.lost_quorum_plan import RecoveryPlan, Survivor
from runbook.raft.recovery_shell import check, fence, folder, heading, stop

KEPT = ".before-recovery"
CONFIG_FILE = (
    "It reads --config-file, and so no environment: set force-new-cluster (initial-cluster, initial-cluster-state) "
    "there for the one start, by hand"
)


def force_new_cluster(plan: RecoveryPlan, unit: str) -> list[str]:
    """All parts, in their order."""
    (first,) = plan.starts
    name = first.peer.label
    return [
        *heading("1. On every survivor: stop it and keep a copy. Start none before all are stopped."),
        *(line for one in plan.survivors for line in ("", *_stop_and_copy(plan, one, unit))),
        "",
        *heading(f"2. {name} begins a new cluster from its data, and is started again without that setting."),
        "",
        *_begin(plan, first, unit),
        "",
        *heading("3. Look. It leads, and nobody else is listed."),
        "",
        plan.files.look,
        "runbook diagnose",
        "",
        *heading(f"4. The others, one after the other: added on {name}, emptied, started, and made a voter."),
        *(line for one in plan.anew for line in ("", *_join(plan, first, one, unit))),
        "",
        *heading("5. On each server left out, as soon as its machine is up, BEFORE the others can reach it."),
        *(line for one in plan.left_out for line in ("", *fence(plan, one, unit))),
        "",
    ]


def _on(survivor: Survivor) -> str:
    return f"# on {survivor.peer.label} ({survivor.peer.address})"


def _stop_and_copy(plan: RecoveryPlan, survivor: Survivor, unit: str) -> Iterator[str]:
    yield _on(survivor)
    yield "sudo sh -eu <<'RECOVERY'"
    yield from folder(plan, survivor.data_dir)
    yield check(f'[ -e "$raft/{plan.files.like}" ]', "it has no Raft data")
    yield check(f'[ ! -e "$raft{KEPT}" ]', "there is a copy already: was this done before?")
    config = f"tr '\\0' ' ' < /proc/$(systemctl show --property=MainPID --value {shlex.quote(unit)})/cmdline"
    yield check(f"! {config} | grep -q config-file", CONFIG_FILE)
    yield from stop(unit)
    yield f'cp -a "$raft" "$raft{KEPT}"'
    yield f"echo {shlex.quote(f'{survivor.peer.label}: stopped, and copied')}"
    yield "RECOVERY"


def _begin(plan: RecoveryPlan, survivor: Survivor, unit: str) -> Iterator[str]:
    yield _on(survivor)
    yield "sudo sh -eu <<'RECOVERY'"
    yield from folder(plan, survivor.data_dir)
    yield check(f'[ -e "$raft{KEPT}" ]', "there is no copy: is this that host, and was it stopped and copied?")
    yield from _started_once(unit, {"ETCD_FORCE_NEW_CLUSTER": "true"})
    yield f"echo {shlex.quote(f'{survivor.peer.label}: a cluster of its own')}"
    yield "RECOVERY"


def _started_once(unit: str, settings: dict[str, str]) -> Iterator[str]:
    """Started with these, for ten seconds, and started again without them: they are gone however this part ends, as a
    member that is forced again later throws its cluster away.
    """
    yield f"once=/run/systemd/system/{unit.removesuffix('.service')}.service.d"
    yield 'mkdir -p "$once"'
    yield 'trap \'rm -f "$once/zz-recovery.conf" "$once/recovery.env"; systemctl daemon-reload\' EXIT'
    yield "cat > \"$once/recovery.env\" <<'SETTINGS'"
    yield from (f"{name}={value}" for name, value in settings.items())
    yield "SETTINGS"
    yield 'printf \'[Service]\\nEnvironmentFile=%s\\n\' "$once/recovery.env" > "$once/zz-recovery.conf"'
    yield "systemctl daemon-reload"
    yield f"systemctl start {shlex.quote(unit)}"
    yield "sleep 10"
    yield 'rm "$once/zz-recovery.conf" "$once/recovery.env"'
    yield "systemctl daemon-reload"
    yield from stop(unit)
    yield f"systemctl start {shlex.quote(unit)}"


def _join(plan: RecoveryPlan, first: Survivor, survivor: Survivor, unit: str) -> Iterator[str]:
    """What ``member add`` prints is the same, for whoever starts it by hand."""
    door, peer_url = shlex.quote(f"--endpoints={first.url}"), _peer_url(survivor)
    before = [one for one in plan.survivors if one is first or one in plan.anew[: plan.anew.index(survivor)]]
    members = ",".join(f"{one.peer.name}={_peer_url(one)}" for one in (*before, survivor))
    yield _on(first)
    yield "# http or https in the peers' URLs, here and below, as its own in the list of members"
    yield f"etcdctl {door} member add {shlex.quote(survivor.peer.label)} --learner --peer-urls={shlex.quote(peer_url)}"
    yield ""
    yield _on(survivor)
    yield "sudo sh -eu <<'RECOVERY'"
    yield from folder(plan, survivor.data_dir)
    yield check(f'[ -e "$raft{KEPT}" ]', "there is no copy: is this that host, and was it stopped and copied?")
    yield 'rm -r "$raft"'
    yield from _started_once(unit, {"ETCD_INITIAL_CLUSTER": members, "ETCD_INITIAL_CLUSTER_STATE": "existing"})
    yield "RECOVERY"
    yield ""
    yield _on(first)
    yield f"etcdctl {door} member list    # the id of {survivor.peer.label}, and then, once it has copied all:"
    yield f"etcdctl {door} member promote ITS-ID"


def _peer_url(survivor: Survivor) -> str:
    """As its API's address says whether it is by TLS; etcd's own list has the whole."""
    scheme = survivor.url.partition("://")[0] or "http"
    return f"{scheme}://{survivor.peer.address}"
