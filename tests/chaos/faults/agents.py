"""Agents die, sleep past their lease, come twice, never answer, and have their own idea of time."""

from collections.abc import Sequence

from chaos.agents import AgentProcess
from chaos.faults.fault import Fault
from chaos.load import Wish
from chaos.stage import Stage

# Longer than the lease that the runner sets.
PAST_LEASE_SECONDS = 7.0
HOUR_SECONDS = 3600
STORMS = 3
MUTE_SECONDS = 6.0
MEMORY_LIMIT = 1024**3
OPEN_FILES = 48


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


def _wrong_clocks(stage: Stage) -> None:
    first, second = stage.agents[:2]
    first.extra["CHAOS_CLOCK_SHIFT"] = str(HOUR_SECONDS)
    second.extra["CHAOS_CLOCK_SHIFT"] = str(-HOUR_SECONDS)


def _kill_one(stage: Stage) -> None:
    stage.wait_for_load(0.3, 0.6)
    stage.some_agent().restart()


def _mute_agent(stage: Stage) -> None:
    """It takes tasks, beats, and says nothing; its tasks have to go elsewhere."""
    stage.wait_for_load(0.1, 0.3)
    mute = AgentProcess(f"{stage.queue}-mute", stage.product, stage.directory, stage.queue)
    mute.start(command=("-m", "chaos.mute_agent"))
    try:
        stage.pause(MUTE_SECONDS)
    finally:
        mute.kill()


def _storm(stage: Stage) -> None:
    """All agents lose their connections at once, several times."""
    for number in range(STORMS):
        stage.wait_for_load(0.2 + 0.2 * number, 0.3 + 0.2 * number)
        for agent in stage.agents:
            agent.restart()


def _with_limits(stage: Stage) -> None:
    for agent in stage.agents:
        agent.memory_limit, agent.open_files = MEMORY_LIMIT, OPEN_FILES


def _add_poison(stage: Stage) -> None:
    """Tasks that kill, exhaust, block and flood their agents, among the ordinary ones."""
    _with_limits(stage)
    number = stage.size.submits
    for how in ("crash", "crash", "memory", "endless", "huge"):
        stage.extra.append(_poison(stage, number, how))
        number += 1


def _poison(stage: Stage, number: int, how: str) -> Wish:
    return Wish(
        number=number,
        kind="poison",
        priority="normal",
        key=f"{stage.queue}-{number}",
        more={"max_attempts": 2, "run_timeout_seconds": 15, "progress_timeout_seconds": 5},
        input={"poison": how},
    )


def _keep_alive(stage: Stage) -> None:
    """Agents die of their tasks; somebody starts them again, as a service manager does."""
    stage.wait_for_load(0.0, 0.1)
    _watch_over(stage, stage.agents)


def _watch_over(stage: Stage, agents: Sequence[AgentProcess]) -> None:
    def all_over() -> bool:
        for agent in agents:
            agent.keep_alive()
        return stage.load.is_over and stage.is_over()

    stage.wait(all_over, "poison and all others are over", seconds=90)


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
    Fault(
        name="agent-clocks",
        about="one agent's clock is an hour ahead, another's an hour behind; one is killed",
        prepare=_wrong_clocks,
        run=_kill_one,
    ),
    Fault(
        name="mute-agent",
        about="an agent takes tasks and never says a word, then dies",
        run=_mute_agent,
        is_short=True,
    ),
    Fault(
        name="reconnect-storm",
        about="all agents are killed and come back at once, three times",
        run=_storm,
    ),
    Fault(
        name="poison",
        about="tasks that crash, exhaust, block and flood agents with limits of memory and files",
        prepare=_add_poison,
        run=_keep_alive,
        settings={"poison_attempts": "3"},
    ),
)
