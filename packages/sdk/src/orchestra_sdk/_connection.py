"""Keeps the agent connected, for ever, from a thread of its own.

It is a thread with the synchronous gRPC API on purpose: handlers own the event loop and may block
it, and grpc.aio shares one poller among all event loops of a process.
"""

import logging
import threading
from collections.abc import Callable

import grpc

from orchestra_sdk import _clock
from orchestra_sdk._errors import AccessDenied, AgentError, NotConfigured, Rejected
from orchestra_sdk._session import Parts, Session
from orchestra_sdk._target import Target

_log = logging.getLogger("orchestra_sdk")

_FIRST_PAUSE = 0.25  # seconds
# Not doubled: the pause would soon be as long as the outage, and a lease does not wait for that.
_GROWTH = 1.5
_LONGEST_PAUSE = 10.0
_STEADY_SECONDS = 5.0  # a session this long ends the series of failures
_DENIED = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)


class Connection:
    """One session after the other until `stop`, or until it is clear that none will ever work."""

    def __init__(
        self,
        parts: Parts,
        *,
        find_target: Callable[[], Target],
        on_fatal: Callable[[AgentError], None],
    ) -> None:
        self._parts = parts
        self._find_target = find_target
        self._on_fatal = on_fatal
        self._stopping = threading.Event()
        self._session: Session | None = None
        self._failures = 0
        self._worked = False
        self._told = ""
        self._thread = threading.Thread(target=self._run, name="orchestra-connection", daemon=True)

    @property
    def connected(self) -> bool:
        """Whether the control plane has welcomed the agent on the present stream."""
        session = self._session
        return session is not None and session.welcomed

    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """End the session and the thread; blocks for at most `timeout` seconds."""
        self._stopping.set()
        if (session := self._session) is not None:
            session.close()
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stopping.is_set():
            began = _clock.monotonic()
            try:
                self._one_session()
            except AgentError as error:
                if not self._worked:
                    self._on_fatal(error)
                    return
                self._tell(f"{error} Trying again.")
            finally:
                self._session = None
            if _clock.monotonic() - began > _STEADY_SECONDS:
                self._failures = 0
            self._pause()

    def _one_session(self) -> None:
        """Connect and stay so; raises `AgentError` for what another attempt would not mend."""
        target = self._find_target()
        session = self._session = Session(self._parts, target)
        if self._stopping.is_set():
            return
        try:
            session.run()
            reason = "the control plane has ended the stream"
        except grpc.RpcError as error:
            reason = _explain(error, target)
        finally:
            self._worked = self._worked or session.welcomed
        if session.welcomed:
            self._told = ""
        self._tell(f"Not connected to {target.url}: {reason}. Connecting again.")

    def _tell(self, trouble: str) -> None:
        """Log a trouble once, not with every attempt."""
        if trouble != self._told and not self._stopping.is_set():
            _log.warning(trouble)
        self._told = trouble

    def _pause(self) -> None:
        longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * _GROWTH ** min(self._failures, 10))
        self._failures += 1
        self._stopping.wait(_clock.jitter(longest))


def _explain(error: grpc.RpcError, target: Target) -> str:
    """Return why the call failed, in words; raises for what will not mend itself."""
    if not isinstance(error, grpc.Call):
        return str(error)
    details = error.details() or ""
    if error.code() in _DENIED:
        raise AccessDenied(f"{target.url} does not accept this agent's key: {details}") from error
    if error.code() == grpc.StatusCode.INVALID_ARGUMENT:
        raise Rejected(f"{target.url} does not accept this agent: {details}") from error
    if error.code() == grpc.StatusCode.UNIMPLEMENTED:
        message = f"{target.url} answers, but is not an AI Orchestra control plane: {details}"
        raise NotConfigured(message) from error
    if "failed to connect" in details:  # what follows it repeats the address in gRPC's words
        return "nobody answers there"
    return f"{error.code().name.lower().replace('_', ' ')}: {details}"
