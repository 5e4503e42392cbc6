"""Looks that add up: dead is only who was dead in every one of several looks, spread over a time."""

from __future__ import annotations

from runbook.events import Waiting
from runbook.raft.liveness import Liveness, Verdict, judge_once
from runbook.raft.model import ClusterView
from runbook.steps.base import Context, led

UNSEEN = 30.0  # seconds above ``confirm_for`` between two looks: more than a pause and a slow look, less than a restart


def look_again(context: Context) -> ClusterView:
    """One more look to judge by; those that are older than the verdict needs are forgotten.

    So are all before a long pause, as of a person who was asked: who lived and died in it is dead in each of them.
    """
    view = context.look()
    led(view)
    remember(context, view)
    return view


def remember(context: Context, view: ClusterView) -> None:
    """Whatever the look was for: a sign of life that it shows counts against every later verdict."""
    looks = context.memory.looks
    if looks and view.taken_at - looks[-1].taken_at > context.memory.confirm_for + UNSEEN:
        looks.clear()
    looks.append(view)
    while len(looks) > context.memory.least_looks and view.taken_at - looks[1].taken_at >= context.memory.confirm_for:
        del looks[0]


def pause(context: Context) -> float:
    """Seconds between two looks, so that they are spread over the whole time."""
    return max(context.memory.confirm_for / (context.memory.least_looks - 1), 0.05)


def confirm(context: Context) -> ClusterView:
    """The newest look, after as many as a verdict of *dead* needs: a resumed run begins with none."""
    view = look_again(context)
    while looks_dead(view) and not _enough(context):
        context.emit(Waiting(context.step, round(pause(context), 1), f"{_first(view)} looks dead; looking again"))
        context.clock.sleep(pause(context))
        view = look_again(context)
    return view


def looks_dead(view: ClusterView) -> list[Verdict]:
    """Who is dead in this one look; a verdict needs more of them."""
    seen = [judge_once(view, peer) for peer in led(view).peers]
    return [verdict for verdict in seen if verdict.liveness is Liveness.DEAD]


def _enough(context: Context) -> bool:
    looks = context.memory.looks
    spread = looks[-1].taken_at - looks[0].taken_at
    return len(looks) >= context.memory.least_looks and spread >= context.memory.confirm_for


def _first(view: ClusterView) -> str:
    return looks_dead(view)[0].peer.label
