"""What a control plane does all the time: leases, time-outs, text so far, credentials, notices."""

from collections.abc import Sequence
from dataclasses import replace

import msgspec
import structlog
from nats.aio.msg import Msg

from orchestra.features import agents
from orchestra.features.identity import REVOKED, revoked_by
from orchestra.features.tasks import events
from orchestra.features.tasks.repository import leases
from orchestra.features.tasks.repository.leases import TextSoFar
from orchestra.features.tasks.service.ends.ending import Ending, lost, returned
from orchestra.features.tasks.service.streams import moving
from orchestra.features.tasks.service.streams.plane import TOKEN_SECONDS, Plane
from orchestra.features.tasks.service.streams.run import Run
from orchestra.features.tasks.service.streams.slots import ANSWER_SECONDS
from orchestra.features.tasks.service.streams.spreading import Spreader
from orchestra.foundation import clock
from orchestra.foundation.auth import Actor, ActorKind
from orchestra.foundation.concurrency import Guard, forever
from orchestra.foundation.errors import Conflict, Unavailable
from orchestra.foundation.rpc_calls import OpenCalls

log = structlog.get_logger(__name__)

LOOK_SECONDS = 0.25
SAVE_SECONDS = 2.0
BATCH = 500
# How long a stream outlives a revocation that NATS does not bring.
CHECK_SECONDS = 30.0
# Callers: of ten thousand agents there are twice as many, and nothing else goes on meanwhile.
CHECKED_AT_ONCE = 1_000
ANEW = "Rights or keys have changed: connect again."


class Upkeep:
    """The periodic work of one control plane, and its ears on core NATS."""

    def __init__(self, plane: Plane, calls: OpenCalls) -> None:
        self._plane, self._calls = plane, calls
        self._guard = Guard()

    async def start(self) -> None:
        plane = self._plane
        await plane.bus.listen(events.WAKE_SUBJECT, self._on_wake)
        await plane.bus.listen(events.RUN_SUBJECT, self._on_run)
        await plane.bus.listen(events.ATTACHED_SUBJECT, self._on_attached)
        await plane.bus.listen(f"{moving.SUBJECT}.{plane.id}", self._on_question)
        await plane.bus.listen(REVOKED, self._on_revoked)
        plane.bus.on_reconnect(self._save_all)
        self._guard.spawn("run-timers", forever("run timers", self._look))
        self._guard.spawn("leases", forever("leases", self._renew))
        self._guard.spawn("probes", forever("probes", plane.prober.step))
        self._guard.spawn("texts", forever("texts", self._save))
        self._guard.spawn("late-words", forever("late words", plane.late.write))
        self._guard.spawn("callers", forever("callers", self._check_callers))
        self._guard.spawn("spread", forever("spread", Spreader(plane).step))

    async def close(self) -> None:
        await self._guard.stop()

    async def _renew(self) -> float:
        """Every third of a lease: for runs whose agent is alive, or whose end is being written."""
        plane = self._plane
        alive = [
            run
            for run in plane.runs.values()
            if run.final is not None or (run.agent is not None and not run.agent.unhealthy)
        ]
        for start in range(0, len(alive), BATCH):
            await self._renew_batch(alive[start : start + BATCH])
        return plane.settings.lease_seconds / 3

    async def _renew_batch(self, runs: list[Run]) -> None:
        plane = self._plane
        wanted = [run.lease for run in runs]
        async with plane.database.transaction() as tx:
            kept = await leases.renew(tx, wanted, seconds=plane.settings.lease_seconds)
            cancelling = await leases.cancelling(tx, wanted)
        for run in runs:
            # One whose end or wait is being written may just have got it.
            if run.task_id not in kept and run.final is None and not run.is_leaving:
                plane.lose(run, "The lease is over.")
        for task_id, reason in cancelling:
            run = plane.runs.get(task_id)
            session = plane.session_of(run) if run else None
            if run is not None and session is not None:
                session.cancel(run, reason)

    async def _look(self) -> float:
        """Time-outs to the quarter of a second; the reconciler knows them too, but later."""
        now = clock.monotonic()
        runs = list(self._plane.runs.values())
        for agent_id in {run.agent_id for run in runs if not run.begun}:
            if (session := self._plane.sessions.get(agent_id)) is not None:
                self._plane.slots.recall_stalled(session, now)
        for run in runs:
            if run.final is not None:
                continue
            ending = self._overdue(run, now)
            if ending is not None:
                self._plane.give_up(run, replace(ending, text=run.text))
            elif now - run.credential_at > TOKEN_SECONDS / 2:
                session = self._plane.session_of(run)
                if session is not None:
                    session.renew_credential(run, self._plane.fresh_token(run))
        return LOOK_SECONDS

    def _overdue(self, run: Run, now: float) -> Ending | None:
        task_id, epoch = run.task_id, run.epoch
        if not run.begun:
            return self._stranded(run, now)
        if run.orphaned_at is not None and now - run.orphaned_at > run.grace_seconds:
            return lost(task_id, epoch, "The agent's connection was lost and did not come back.")
        if now > run.run_deadline:
            said = "The run took longer than it may."
            return lost(task_id, epoch, said, code="run_timeout")
        if now - run.last_event_at > run.progress_timeout and not run.is_leaving:
            said = f"The agent said nothing for {run.progress_timeout:g} s."
            return lost(task_id, epoch, said, code="progress_timeout")
        return None

    def _stranded(self, run: Run, now: float) -> Ending | None:
        """Of a run that waits at its agent: the agent is away, or does not answer a recall."""
        if run.orphaned_at is not None and now - run.orphaned_at > run.grace_seconds:
            return returned(run.task_id, run.epoch, "The agent's connection was lost.")
        if now - run.assigned_at > ANSWER_SECONDS:
            said = "The agent neither begins it nor gives it back."
            return lost(run.task_id, run.epoch, said, code="progress_timeout")
        return None

    async def _save(self) -> float:
        texts = [text for run in self._plane.runs.values() if (text := run.take_text())]
        await self._write(texts)
        return SAVE_SECONDS

    async def _save_all(self) -> None:
        """JetStream is back, perhaps without its store: readers then need the text from here."""
        for run in self._plane.runs.values():
            run.saved = -1
        await self._save()

    async def _write(self, texts: list[TextSoFar]) -> None:
        for start in range(0, len(texts), BATCH):
            async with self._plane.database.transaction() as tx:
                await leases.save_texts(tx, texts[start : start + BATCH])

    async def _on_wake(self, message: Msg) -> None:
        queue = message.data.decode(errors="replace")
        if self._plane.registry.serves(queue):
            self._plane.dispatcher.wake(queue)

    async def _on_run(self, message: Msg) -> None:
        try:
            notice = msgspec.json.decode(message.data, type=events.RunNotice)
        except msgspec.MsgspecError:
            log.warning("a notice cannot be read", subject=message.subject)
            return
        run = self._plane.find(notice.task_id, notice.epoch)
        if run is None:
            return
        session = self._plane.session_of(run)
        if notice.is_revoked:
            self._plane.lose(run, notice.reason)
        elif session is not None:
            session.cancel(run, notice.reason)

    async def _on_revoked(self, message: Msg) -> None:
        """Somebody's rights have changed, or an agent's key: credentials have to be shown again."""
        try:
            user_id, agent = revoked_by(message.data)
        except ValueError:
            log.warning("a revocation names no user", subject=message.subject)
            return
        for session in list(self._plane.sessions.values()):
            actor = session.actor
            is_meant = not agent or (actor.kind is ActorKind.AGENT and actor.name == agent)
            if actor.user_id == user_id and is_meant:
                await self._plane.detach(session, Unavailable(ANEW))
        await self._end_ended([it for it in self._calls.actors() if it.user_id == user_id])

    async def _check_callers(self) -> float:
        """For what NATS has not brought: whoever has a stream open is looked at again."""
        callers = self._calls.actors()
        for start in range(0, len(callers), CHECKED_AT_ONCE):
            await self._end_ended(callers[start : start + CHECKED_AT_ONCE])
        return CHECK_SECONDS

    async def _end_ended(self, callers: Sequence[Actor]) -> None:
        """Ends all streams of those of the callers who would not be let in again as they were."""
        ended = await agents.not_as_admitted(self._plane.database, callers)
        if not ended:
            return
        for session in list(self._plane.sessions.values()):
            if (session.actor.id, session.actor.role) in ended:
                await self._plane.detach(session, Unavailable(ANEW))
        self._calls.end(lambda actor: (actor.id, actor.role) in ended, Unavailable(ANEW))

    async def _on_question(self, message: Msg) -> None:
        await moving.answer(self._plane.registry, message)

    async def _on_attached(self, message: Msg) -> None:
        try:
            notice = msgspec.json.decode(message.data, type=events.AttachedNotice)
        except msgspec.MsgspecError:
            log.warning("a notice cannot be read", subject=message.subject)
            return
        if notice.control_plane_id == self._plane.id:
            return
        session = self._plane.sessions.get(notice.agent_id)
        for run in self._plane.runs_of(notice.agent_id):
            # What was taken in but not kept, the agent sends again over there.
            self._plane.abandon(run)
        if session is not None:
            await self._plane.detach(session, Conflict("The agent has connected elsewhere."))
