"""The generic steps in one playbook, by the real parser and engine: each reads what those before it gave."""

from __future__ import annotations

import json

from runbook.engine.execute import execute
from runbook.engine.plan import bind_plan
from runbook.engine.services import RunServices
from runbook.events import Event, RunCompleted, RunStarted, StepCompleted
from runbook.playbook.parser import parse_playbook
from runbook.raft.model import ClusterView
from runbook.run_state import RunState
from runbook.steps.context import Agreement
from runbook.steps.registry import CATALOG
from tests.steps.server import Server
from tests.steps.world import NoCluster, World

PLAYBOOK = """\
runbook: 1
name: generic
summary: Steps that know nothing of Raft.
params:
  url: { type: url, required: true }
guards: { max_changes: 1 }
steps:
  - id: asked
    uses: http.request
    effect: read
    with: { url: "${{ params.url }}/peers" }
  - id: limits
    uses: set
    with: { values: { most: 3 } }
  - uses: assert
    id: few
    with: { that: "${{ len(asked.json.peers) <= limits.values.most }}", else: "too many" }
  - id: kept
    uses: file.write
    with: { path: peers.json, content: "${{ asked.body }}" }
  - id: counted
    uses: command.run
    with: { argv: [wc, -c, "${{ kept.path }}"] }
  - uses: wait.for
    id: pause
    with: { duration: 15s }
  - uses: notify.webhook
    with: { url: "${{ params.url }}/hook", text: "${{ counted.exit_code }} ${{ kept.bytes }}" }
  - uses: log.message
    with: { text: "${{ asked.headers['x-index'] }} of ${{ run.name }}" }
"""


def test_what_one_step_gives_the_next_one_reads_and_all_of_it_can_be_recorded(world: World, server: Server) -> None:
    server.table["/peers"] = (200, {"X-Index": "7"}, b'{"peers": ["s1", "s2"]}')
    playbook = parse_playbook(PLAYBOOK.encode(), "generic.yaml", CATALOG)
    state = RunState()

    def emit(event: Event) -> None:
        world.events.append(event)
        state.apply(event.record())

    emit(RunStarted("a-run", "generic", "", "none", "ann", False, {}))
    services = RunServices(
        cluster=NoCluster(ClusterView("none", 0.0, None, None, ())),
        clock=world.clock,
        emit=emit,
        folder=world.folder,
        random_fraction=lambda: 0.5,
        approve=lambda _sentence, _seconds: Agreement("a person", "by --yes"),
        dry_run=False,
        keep_tracebacks=True,
    )
    ending = execute(bind_plan(playbook, "a-run", {"url": server.url}), services, state)
    assert isinstance(ending, RunCompleted), ending
    completed = {event.step: event for event in world.events if isinstance(event, StepCompleted)}
    assert [event.message for event in completed.values()][-1] == "7 of generic"
    assert json.loads(server.asked[-1].body) == {"text": "0 23"}
    assert world.clock.slept == [10.0, 5.0]
    assert json.loads(json.dumps([event.record() for event in world.events]))
