"""Agents die, sleep past their lease, come twice, and never answer."""

from chaos.agents import AgentProcess
from chaos.faults.fault import Fault
from chaos.stage import Stage

# Longer than the lease that the runner sets.
PAST_LEASE_SECONDS = 7.0


def _kill_agents(stage: Stage) -> None:
    for share in (0.1, 0.3, 0.5, 0.7):
        stage.wait_for_load(share, share + 0.15)
        stage.some_agent().restart()


def _pause_past_lease(stage: Stage) -> None:
    """It wakes with results in its hands that are another's by then."""
    stage.wait_for_load(0.2, 0.5)
    sleeper = stage.some_agent()
    sleeper.pause()
    try:
        stage.pause(PAST_LEASE_SECONDS)
    finally:
        sleeper.resume()


def _two_instances(stage: Stage) -> None:
    """The same agent, name and key, started a second time beside the first."""
    stage.wait_for_load(0.2, 0.4)
    first = stage.some_agent()
    twin = AgentProcess(first.name, stage.product, stage.directory, stage.queue)
    twin.start()
    try:
        stage.wait_for_load(0.6, 0.9)
    finally:
        twin.end()


FAULTS = (
    Fault(
        name="kill-agent",
        about="kill -9 of an agent, four times; it is started again at once",
        run=_kill_agents,
        is_short=True,
    ),
    Fault(
        name="agent-past-lease",
        about="an agent is stopped for longer than its lease, then continued",
        run=_pause_past_lease,
        is_short=True,
    ),
    Fault(
        name="two-instances",
        about="an agent is started a second time beside the first",
        run=_two_instances,
    ),
)
