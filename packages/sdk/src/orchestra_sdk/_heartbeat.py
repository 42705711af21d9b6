"""Tells the control plane that the agent lives, from threads that no handler can block.

It is also how the agent notices that the control plane is gone without a word: when no heartbeat
was answered for a lease, the session ends.
"""

import logging
import threading
from collections.abc import Callable, Iterator

import grpc
from orchestra_protocol import agent_pb2 as pb
from orchestra_protocol.agent_pb2_grpc import ModernAgentServiceStub

from orchestra_sdk import _clock
from orchestra_sdk._resources import Resources

_log = logging.getLogger("orchestra_sdk")


class Heartbeat:
    """The heartbeat of one session."""

    def __init__(
        self,
        *,
        agent_id: str,
        interval_seconds: float,
        patience_seconds: float,
        slots_in_use: Callable[[], int],
        resources: Resources,
        on_silence: Callable[[], None],
    ) -> None:
        self._agent_id = agent_id
        self._interval = interval_seconds
        self._patience = patience_seconds
        self._slots_in_use = slots_in_use
        self._resources = resources
        self._on_silence = on_silence
        self._stopped = threading.Event()
        self._sent: dict[int, float] = {}
        self._answered_at = _clock.monotonic()
        self._round_trip = 0.0

    def start(self, stub: ModernAgentServiceStub, metadata: tuple[tuple[str, str], ...]) -> None:
        """Beat until `stop`."""
        arguments = (stub, metadata)
        thread = threading.Thread(
            target=self._run, args=arguments, name="orchestra-heartbeat", daemon=True
        )
        thread.start()

    def stop(self) -> None:
        """Beat no more."""
        self._stopped.set()

    def _run(self, stub: ModernAgentServiceStub, metadata: tuple[tuple[str, str], ...]) -> None:
        while not self._stopped.is_set():
            try:
                for answer in stub.StreamHeartbeat(self._beats(), metadata=metadata):
                    self._answered(answer)
            except (grpc.RpcError, ValueError) as error:  # ValueError: the channel was closed
                _log.debug("the heartbeat was interrupted: %s", error)
            self._stopped.wait(_clock.jitter(self._interval))

    def _beats(self) -> Iterator[pb.HeartbeatMessage]:
        """Yield a message per interval; gRPC takes them in a thread of its own."""
        sequence = 0
        self._sent.clear()
        while True:
            sequence += 1
            yield self._beat(sequence)
            if self._stopped.wait(self._interval):
                return
            # A large fleet beats rarely; two beats without an answer are silence.
            patience = max(self._patience, 2.5 * self._interval)
            if _clock.monotonic() - self._answered_at > patience:
                self._on_silence()
                return

    def _beat(self, sequence: int) -> pb.HeartbeatMessage:
        self._sent[sequence] = _clock.monotonic()
        return pb.HeartbeatMessage(
            agent_id=self._agent_id,
            resources=self._resources.measure(),
            timestamp=_clock.timestamp(),
            slots_in_use=self._slots_in_use(),
            sequence=sequence,
            round_trip_seconds=self._round_trip,
        )

    def _answered(self, answer: pb.HeartbeatResponse) -> None:
        self._answered_at = _clock.monotonic()
        if answer.interval_seconds > 0:
            self._interval = answer.interval_seconds
        sent_at = self._sent.pop(answer.sequence, None)
        if sent_at is not None:
            self._round_trip = self._answered_at - sent_at
