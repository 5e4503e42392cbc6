"""`runbook execute safe-to-stop` before a reboot: its exit code is the answer."""

from __future__ import annotations

import pytest

from runbook.lab.simulated import SimulatedLab
from tests.command_line import changes, environment, followers, runbook


def ask(lab: SimulatedLab, door: str, *params: str) -> tuple[int, str]:
    words = [word for param in params for word in ("--param", param)]
    done = runbook(environment(lab, door), "execute", "safe-to-stop", *words, "--log-format", "text")
    assert changes(lab) == []
    return done.returncode, done.stdout + done.stderr


def test_it_is_safe_until_the_others_are_too_few() -> None:
    """Zero while a quorum is left, three where it would not be, four where there is none."""
    with SimulatedLab(5, gossip_delay=0.3) as lab:
        leader = lab.wait_for_leader()
        first, second, third, door = followers(lab)
        code, told = ask(lab, door, f"server={first}")
        assert code == 0, told
        assert f"{first}.global may be stopped: 4 of 5 voters are alive" in " ".join(told.split())
        code, told = ask(lab, door, f"server={leader}")
        assert code == 0, told
        assert "it leads, so another is elected when it stops" in " ".join(told.split())
        lab.kill(first)
        lab.wait_for_gossip(first, "failed")
        assert ask(lab, door, f"server={second}")[0] == 0
        code, told = ask(lab, door, f"server={second}", "spare=1")
        assert code == 3, told
        lab.kill(second)
        lab.wait_for_gossip(second, "failed")
        code, told = ask(lab, door, f"server={third}")
        assert code == 3, told
        assert "Stop nothing before" in told
        assert ask(lab, door, f"server={first}")[0] == 0, "what is dead already takes nothing away"
        lab.kill(third)
        code, told = ask(lab, door, f"server={door}")
        assert code == 4, told


@pytest.mark.parametrize(("params", "code"), [(["server=s9"], 3), ([], 2), (["server=s1", "spare=-1"], 2)])
def test_who_is_not_there_may_not_be_stopped(params: list[str], code: int) -> None:
    with SimulatedLab(3) as lab:
        lab.wait_for_leader()
        ended, told = ask(lab, followers(lab)[0], *params)
        assert ended == code, told
