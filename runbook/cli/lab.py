"""``runbook lab`` and ``runbook demo``: clusters to practise on.

That of the lab outlives the command that started it; that of the demo does not.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast

import click

from runbook.cli.options import completes
from runbook.cli.output import Output

if TYPE_CHECKING:
    from pathlib import Path

    from runbook.lab.agent_layout import AgentKind
    from runbook.lab.folder import Lab

MAX_SERVERS = 9
PORTS = click.IntRange(1024, 65533)  # RPC and gossip have the next two
REAL_GOSSIP_DELAY = 40.0
DEMO_PLAYBOOK = "remove-dead-peers"
DEMO_PARAMS = {"confirm_for": "4s", "watch_for": "5s", "cooldown": "0s"}  # by default 30 s, 70 s and 1 h


@click.group()
def lab() -> None:
    """A cluster on this machine to break and to recover.

    Five simulated Nomad servers unless asked otherwise, each at its own loopback address 127.0.0.11, .12, …
    They answer what real servers answer, and curl, nomad and runbook may be pointed at them.
    """


@lab.command()
@click.option(
    "--servers", type=click.IntRange(1, MAX_SERVERS), default=5, show_default=True, help="How many; all are voters."
)
@click.option(
    "--kind",
    type=click.Choice(["simulated", "nomad", "consul", "etcd"]),
    default="simulated",
    show_default=True,
    help="Simulated Nomad servers in one process, or real agents.",
)
@click.option("--raft-protocol", type=click.Choice(["2", "3"]), help="3 unless given; 2 is that of Nomad up to 1.3.")
@click.option(
    "--gossip-delay",
    type=click.FloatRange(min=0, min_open=True, max=3600),
    metavar="SECONDS",
    help="Until gossip calls a dead server failed: 40 as in reality unless given; 2 is handy.",
)
@click.option("--http-port", type=PORTS, metavar="PORT", help="Nomad's 4646 (Consul's 8500, etcd's 2379) if free.")
def up(servers: int, kind: str, raft_protocol: str | None, gossip_delay: float | None, http_port: int | None) -> None:
    """Start the lab; the line on stdout is for the shell: eval "$(runbook lab up)".

    It goes on until `runbook lab down`, a simulated one for 12 hours at most. Kinds nomad, consul and etcd are real
    servers and need that binary on PATH.
    """
    from runbook.lab.folder import start_agents, start_simulated

    if kind == "simulated":
        started: Lab = start_simulated(
            _folder(),
            servers=servers,
            raft_protocol=int(raft_protocol or 3),
            gossip_delay=gossip_delay or REAL_GOSSIP_DELAY,
            http_port=http_port,
        )
    else:
        if raft_protocol or gossip_delay:
            raise click.UsageError("--raft-protocol and --gossip-delay are of the simulated lab only")
        started = start_agents(_folder(), cast("AgentKind", kind), servers=servers, http_port=http_port)
    output = Output()
    output.note(_format_status(started), indent="")
    output.text(f"{started.export}\n")


@lab.command()
def status() -> None:
    """Show every server: HTTP address, Raft address, state, leader, id."""
    Output().text(f"{_format_status(_running_lab())}\n")


@lab.command()
@click.argument("name", shell_complete=completes("server"))
def kill(name: str) -> None:
    """Kill a server as by kill -9: it is gone at once and tells nobody."""
    _running_lab().kill(name)


@lab.command()
@click.argument("name", shell_complete=completes("server"))
def freeze(name: str) -> None:
    """Freeze a server as by kill -STOP: it takes connections and never answers."""
    _running_lab().freeze(name)


@lab.command()
@click.argument("name", shell_complete=completes("server"))
def thaw(name: str) -> None:
    """Let a frozen server go on."""
    _running_lab().thaw(name)


@lab.command()
@click.argument("name", shell_complete=completes("server"))
@click.option("--wiped", is_flag=True, help="Without its data, and so with a new id.")
def restart(name: str, wiped: bool) -> None:
    """Start a server anew at its address, killing it first if it runs."""
    _running_lab().restart(name, wiped=wiped)


@lab.command()
@click.argument("groups", nargs=-1, required=True, metavar="A,B C,D,E")
def partition(groups: tuple[str, ...]) -> None:
    """Cut the network between groups of servers; those not named are one more group."""
    named = [group.split(",") for group in groups]
    if not all(all(group) for group in named):
        raise click.UsageError("write the groups like s1,s2 s3,s4,s5")
    _running_lab().partition(named)


@lab.command()
def heal() -> None:
    """End a partition."""
    _running_lab().heal()


@lab.command()
def down() -> None:
    """End the lab and remove it, all but its logs."""
    from runbook.lab.folder import take_down

    if not take_down(_folder()):
        Output().note(f"there is no lab in {_folder()}: nothing to do")


def _running_lab() -> Lab:
    from runbook.lab.folder import find_lab

    return find_lab(_folder())


def _format_status(lab: Lab) -> str:
    rows = [(row.name, row.address, row.rpc, row.state, "leader" if row.leader else "", row.id) for row in lab.status()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _folder() -> Path:
    from runbook.session.run_folders import state_folder

    return state_folder(os.environ) / "lab"


def run_demo() -> int:
    """Kill a server of a practice cluster and recover the cluster, so that a new user has seen it before needing it.

    Returns the exit code of the run. Each demo is a new cluster: the cool-down of another one does not hold it up.
    """
    import secrets

    from runbook.cli.execute import execute_playbook
    from runbook.cli.terminal import Terminal
    from runbook.lab.simulated import SimulatedLab
    from runbook.session.open_run import RunRequest
    from runbook.shipped_playbooks import shipped_path

    with SimulatedLab(servers=5, gossip_delay=2.0, seed=secrets.randbits(32)) as lab:
        victim = next(name for name in lab.names if name != lab.wait_for_leader())
        lines = [f"A practice cluster runs: {', '.join(lab.names)}; its leader is {lab.leader()}."]
        lab.kill(victim)
        lines += [
            f"{victim} has just been killed. Now, as an operator would:\n",
            f"  NOMAD_ADDR={lab.addresses[-1]} runbook execute {DEMO_PLAYBOOK}\n",
        ]
        Output().note("\n".join(lines), indent="")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("NOMAD_", "CONSUL_"))}
        agreed = Terminal(yes=True)  # whoever typed `runbook demo` wants to see the server go
        environment = {**kept, "NOMAD_ADDR": lab.addresses[-1]}
        return execute_playbook(RunRequest(shipped_path(DEMO_PLAYBOOK), DEMO_PARAMS), agreed, environment)
