"""Brings what runs say into JetStream, in order, and their ends into the database.

An event is acknowledged to its agent only when JetStream has it, a result only when PostgreSQL has
it. While an engine is away nothing is dropped: it waits here, within the bounds of the run.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import structlog
from orchestra_protocol import agent_pb2 as pb

from orchestra.features.events import Outbox
from orchestra.features.tasks import events
from orchestra.features.tasks.errors import StaleEpoch, TaskNotFound
from orchestra.features.tasks.service.batching import Batcher
from orchestra.features.tasks.service.ends import faults
from orchestra.features.tasks.service.ends.ending import Ended, Ending, end_all
from orchestra.features.tasks.service.ends.results import end_plain, is_plain
from orchestra.features.tasks.service.streams.outcome import not_kept, to_ending
from orchestra.features.tasks.service.streams.run import Run
from orchestra.features.tasks.service.streams.session import Session
from orchestra.foundation import crash_points
from orchestra.foundation.auth import Actor
from orchestra.foundation.concurrency import Guard
from orchestra.foundation.database import Database
from orchestra.foundation.errors import OrchestraError, Unavailable
from orchestra.foundation.messaging import Bus, Message
from orchestra.foundation.settings import Settings

log = structlog.get_logger(__name__)

RETRY_SECONDS = 0.2
# One batch of ends at a time: what comes meanwhile becomes the next, and shares its cost.
LARGEST_BATCH = 256
MAX_BEHIND = 4 * LARGEST_BATCH

SessionOf = Callable[[Run], Session | None]
OnEnd = Callable[[Run, Ended | None], None]


class Keeper:
    """Works for all runs of one control plane. `on_end` is called when a run is over for good."""

    def __init__(
        self,
        *,
        database: Database,
        bus: Bus,
        outbox: Outbox,
        settings: Settings,
        session_of: SessionOf,
        on_end: OnEnd,
    ) -> None:
        self._database = database
        self._bus = bus
        self._outbox = outbox
        self._settings = settings
        self._session_of = session_of
        self._on_end = on_end
        self._guard = Guard()
        self._keeping: dict[Run, asyncio.Task[None]] = {}
        self._ready: deque[Run] = deque()  # all that is left of them goes with their result
        self._lane: asyncio.Task[None] | None = None
        self._endings: Batcher[Ending, Ended] = Batcher(
            "end-runs", self._end_batch, largest=LARGEST_BATCH, parallel=1
        )

    @property
    def is_behind(self) -> bool:
        """Whether runs end faster than their ends are written."""
        return len(self._endings) + len(self._ready) > MAX_BEHIND

    def work_on(self, run: Run) -> None:
        """Something of the run is to be kept."""
        if run.is_draining or not (run.unsent or run.window or run.final is not None):
            return
        run.is_draining = True
        if not run.ends_at_once:
            self._keeping[run] = self._guard.spawn(f"keep {run.task_id}", self._keep(run))
            return
        self._ready.append(run)
        if self._lane is None or self._lane.done():
            self._lane = self._guard.spawn("keep results", self._keep_ready())
        self._keeping[run] = self._lane

    async def end(self, ending: Ending) -> Ended:
        """Ends a run from outside; raises what `end_all` says, or Unavailable."""
        return await self._endings.submit(ending)

    async def flush(self, *, seconds: float) -> None:
        """Waits until what was taken in is kept, but not longer than that."""
        working = {task for task in self._keeping.values() if not task.done()}
        if working:
            await asyncio.wait(working, timeout=seconds)

    async def settle(self, run: Run) -> None:
        """Waits until JetStream has all that the run has said until now, or its lease is lost."""
        while not run.is_lost and (run.unsent or run.window):
            self.work_on(run)
            await asyncio.wait({self._keeping[run]})

    async def room(self, run: Run) -> None:
        """Waits until the run has room for more: its agent's stream is not read meanwhile."""
        while run.is_full and not run.is_lost:
            run.room = asyncio.get_running_loop().create_future()
            await run.room

    async def refuse(self, run: Run, final: pb.AgentEvent, by: Actor) -> None:
        """Lets the database judge an end that comes under a lease which is not here."""
        try:
            await self._endings.submit(to_ending(run, final, by=by, settings=self._settings))
        except OrchestraError as error:
            log.info("an end was refused", task_id=str(run.task_id), why=error.message)

    async def close(self) -> None:
        await self._guard.stop()
        await self._endings.close()

    async def _keep_ready(self) -> None:
        """The way of nearly all runs: no task and no future of their own, and one statement."""
        while self._ready:
            count = min(LARGEST_BATCH, len(self._ready))
            runs = [self._ready.popleft() for _ in range(count)]
            try:
                await self._keep_batch(runs)
            except Exception:
                log.exception("results leave the lane")
                for run in runs:
                    if self._keeping.get(run) is self._lane:
                        self._keeping[run] = self._guard.spawn(
                            f"keep {run.task_id}", self._keep(run)
                        )

    async def _keep_batch(self, runs: Sequence[Run]) -> None:
        endings = {run: ending for run in runs if (ending := self._ending_of(run))}
        plain = [ending for ending in endings.values() if is_plain(ending)]
        ended = await self._end_plain(plain)
        outcomes = {each.task_id: life for each, life in zip(plain, ended, strict=True)}
        for run in runs:
            self._leave_lane(run, endings.get(run), outcomes.get(run.task_id))

    def _ending_of(self, run: Run) -> Ending | None:
        if run.final is None or run.is_lost:
            return None
        session = self._session_of(run)
        by = session.actor if session else None
        return to_ending(run, run.final, by=by, settings=self._settings)

    async def _end_plain(self, endings: Sequence[Ending]) -> Sequence[Ended | None]:
        """All of them, or None for each: then each is decided by itself."""
        crash_points.reached("end.before-commit")
        try:
            if endings:
                ended = await end_plain(self._database, self._outbox, self._bus, endings)
            else:
                ended = []
        except Exception as error:  # noqa: BLE001 - the slow way meets it again, and says whose it is
            log.warning("results go one by one", why=str(error) or type(error).__name__)
            ended = None
        return [None] * len(endings) if ended is None else ended

    def _leave_lane(self, run: Run, ending: Ending | None, ended: Ended | None) -> None:
        if ending is not None and run.final is not None and ended is None:
            keep = self._end(run, run.final, ending)
            self._keeping[run] = self._guard.spawn(f"keep {run.task_id}", self._drain(run, keep))
            return
        self._stop_keeping(run)
        if run.final is not None and ended is not None:
            self._finish(run, ended, run.final.sequence)

    def _stop_keeping(self, run: Run) -> None:
        run.is_draining = False
        del self._keeping[run]

    async def _drain(self, run: Run, keep: Awaitable[None]) -> None:
        try:
            await keep
        finally:
            self._stop_keeping(run)

    async def _keep(self, run: Run) -> None:
        try:
            while not run.is_lost:
                if run.final is not None and run.ends_at_once:
                    if (ending := self._ending_of(run)) is not None:
                        await self._end(run, run.final, ending)
                    return
                if not run.unsent and run.window is None:
                    return
                await self._send_window(run)
        finally:
            self._stop_keeping(run)

    async def _send_window(self, run: Run) -> None:
        if run.window is None:
            last, batch = run.next_window()
            run.window = (last, events.window(run.task_id, batch, life=run.life_id))
        run.tell_room()
        last, message = run.window
        if not await self._publish(run, message):
            return
        crash_points.reached("events.after-send")
        run.window = None
        if last > run.kept:
            run.kept = last
            session = self._session_of(run)
            if session is not None and not (run.final is not None and not run.unsent):
                session.acknowledge(run, last)

    async def _publish(self, run: Run, message: Message) -> bool:
        """Until JetStream has it; False when the lease was lost meanwhile.

        The same bytes under the same id each time, so that a repetition is recognised.
        """
        while not run.is_lost:
            try:
                await self._bus.publish(message)
                return True
            except Unavailable as error:
                log.warning("events wait for NATS", task_id=str(run.task_id), error=error.message)
            except Exception:
                log.exception("events wait", task_id=str(run.task_id))
            await asyncio.sleep(RETRY_SECONDS)
        return False

    async def _end(self, run: Run, final: pb.AgentEvent, ending: Ending) -> None:
        while not run.is_lost:
            try:
                ended = await self._endings.submit(ending)
            except Unavailable as error:
                log.warning("a result waits", task_id=str(run.task_id), error=error.message)
            except (StaleEpoch, TaskNotFound) as error:
                return self._refuse(run, error)
            except OrchestraError:
                # The task is over under this epoch: the answer to an earlier try was lost.
                return self._finish(run, None, final.sequence)
            except Exception:
                log.exception("an end cannot be kept", task_id=str(run.task_id))
                ending = not_kept(ending)
            else:
                return self._finish(run, ended, final.sequence)
            await asyncio.sleep(RETRY_SECONDS)
        return None

    def _finish(self, run: Run, ended: Ended | None, sequence: int) -> None:
        crash_points.reached("end.before-acknowledge")
        session = self._session_of(run)
        if session is not None:
            session.acknowledge(run, sequence, final=True)
        self._on_end(run, ended)

    def _refuse(self, run: Run, error: OrchestraError) -> None:
        session = self._session_of(run)
        if session is not None:
            session.revoke(run, error.message)
        self._on_end(run, None)

    async def _end_batch(self, endings: Sequence[Ending]) -> list[Ended | Exception]:
        """Results in one statement; the rest, and results that it does not take, one by one."""
        crash_points.reached("end.before-commit")
        plain = [ending for ending in endings if is_plain(ending)]
        ended = await end_plain(self._database, self._outbox, self._bus, plain) if plain else []
        if ended is None:
            return await self._decide(endings)
        others = [ending for ending in endings if not is_plain(ending)]
        if not others:
            return [*ended]
        left, right = iter(ended), iter(await self._decide(others))
        return [next(left) if is_plain(ending) else next(right) for ending in endings]

    async def _decide(self, endings: Sequence[Ending]) -> list[Ended | Exception]:
        async with self._database.transaction() as tx:
            outcomes = await end_all(
                tx,
                self._outbox,
                self._bus,
                endings,
                poison_attempts=self._settings.poison_attempts,
            )
            await faults.note(tx, self._bus, endings, outcomes, settings=self._settings)
            return outcomes
