"""Versions N - 1 and N together: old agents, old processes and old data meet today's."""

from functools import partial

from chaos import needs
from chaos.faults.fault import Fault
from chaos.faults.processes import restart
from chaos.stage import Size, Stage

# What was published before the work that these tests are part of, with schema 0005.
FORMER = "0295a11ecc506594266bf32473f27eb34cd4e10e"
# Before the task engine: agents know no steps, children or questions, and the schema is 0001.
FIRST = "45753453f0e1565538cf8999068ae3ea5c74d3a4"
FIRST_KINDS = {"quick": 10, "slow": 4, "flaky": 2, "fails": 1, "cancelled": 1}


def _old_agents(stage: Stage) -> None:
    assert stage.code is not None
    for agent in stage.agents:
        agent.code = (stage.code.path_of_now,)


def _rolling_upgrade(stage: Stage) -> None:
    """The schema goes first, then process by process; agents of either version meet both."""
    assert stage.code is not None
    stage.wait_for_load(0.05, 0.15)
    newest, *others = stage.random.sample(stage.agents, len(stage.agents))
    newest.code = ()
    newest.restart()
    stage.wait_for_load(0.2, 0.3)
    stage.code.become_ours()
    stage.product.cli("migrate")
    for name in stage.random.sample(("worker", "control-plane", "assistant"), 3):
        restart(stage, name)
    with stage.api_may_fail():
        restart(stage, "api")
    stage.wait_for_load(0.6, 0.8)
    others[0].code = ()
    others[0].restart()


def _upgrade(stage: Stage) -> None:
    """Everything is stopped and started as today's; agents stay as they are, but for one."""
    assert stage.code is not None
    stage.wait_for_load(0.1, 0.2)
    newest = stage.some_agent()
    newest.code = ()
    newest.restart()
    stage.wait_for_load(0.3, 0.6)
    with stage.api_may_fail(after=2.0):
        stage.code.become_ours()
        if stage.random.random() < 0.5:
            stage.product.stop()
        else:
            stage.product.kill_everything()
        stage.product.start()


FAULTS = (
    Fault(
        name="rolling-upgrade",
        about="from the version before: schema, then process by process, agents of both",
        prepare=_old_agents,
        run=_rolling_upgrade,
        revision=FORMER,
        size=Size(submits=300, rate=15.0),
        own_product=True,
        lacks=partial(needs.commit, FORMER),
    ),
    Fault(
        name="upgrade-with-data",
        about="from the first version of all, with its data and its agents at work",
        prepare=_old_agents,
        run=_upgrade,
        kinds=FIRST_KINDS,
        revision=FIRST,
        size=Size(submits=300, rate=15.0),
        own_product=True,
        lacks=partial(needs.commit, FIRST),
    ),
)
