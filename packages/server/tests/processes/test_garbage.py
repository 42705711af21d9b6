import asyncio
import contextlib
import gc
import weakref
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from orchestra.processes import garbage

pytestmark = pytest.mark.anyio


@dataclass
class Agents:
    version: int = 0


class Node:
    """Garbage that only a look finds, once it is let go."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def by_looks_alone() -> Iterator[None]:
    thresholds = gc.get_threshold()
    gc.disable()
    yield
    gc.set_threshold(*thresholds)
    gc.enable()


def grown_old() -> tuple[Node, "weakref.ref[Node]"]:
    node = Node()
    gc.collect(0)
    return node, weakref.ref(node)


async def test_young_garbage_is_found_at_each_look() -> None:
    looks = garbage.Looks(Agents())
    for _ in range(3):
        found = weakref.ref(Node())
        assert found() is not None
        assert await looks.step() == garbage.YOUNG_SECONDS
        assert found() is None


async def test_old_garbage_is_found_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = garbage.Looks(Agents())
    node, found = grown_old()
    del node
    await looks.step()
    assert found() is not None, "not by a look among the young"
    monkeypatch.setattr(garbage, "FULL_SECONDS", 0.0)
    await looks.step()
    assert found() is None


async def test_old_garbage_is_found_when_many_agents_have_come_and_gone() -> None:
    agents = Agents(version=7)
    looks = garbage.Looks(agents)
    for _ in range(2):
        node, found = grown_old()
        del node
        agents.version += garbage.FULL_CHANGES - 1
        await looks.step()
        assert found() is not None
        agents.version += 1
        await looks.step()
        assert found() is None


async def test_pythons_own_rules_leave_all_but_the_young_to_the_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(garbage, "YOUNG_SECONDS", 0.01)
    looking = asyncio.create_task(garbage.collect(Agents()))
    try:
        for _ in range(2):
            gone = asyncio.Event()
            found = weakref.ref(Node(), lambda _, gone=gone: gone.set())
            await asyncio.wait_for(gone.wait(), 5)
            assert found() is None
        assert gc.get_threshold() == (garbage.YOUNG_OBJECTS, garbage.NEVER, garbage.NEVER)
    finally:
        looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await looking


def test_what_a_process_began_with_is_looked_at_no_more() -> None:
    before = gc.get_freeze_count()
    kept = [Node() for _ in range(10)]
    garbage.spare_what_is_here()
    try:
        assert gc.get_freeze_count() >= before + len(kept)
        found = weakref.ref(kept[0])
        kept.clear()
        gc.collect()
        assert found() is not None
    finally:
        gc.unfreeze()
    gc.collect()
    assert found() is None
