"""An agent on the other side of a network that loses what one end, the other, or both ends send.

Its namespace is a machine of its own as far as the kernel's network goes. An end that shall not be
heard is told a wrong address of the other's card: nothing is refused, and nobody is told.
"""

import contextlib
import subprocess
from collections.abc import Generator
from dataclasses import dataclass

from chaos import needs
from chaos.agents import AgentProcess
from chaos.faults.fault import Fault
from chaos.faults.processes import PAST_LEASE_SECONDS
from chaos.stage import Size, Stage

# Of the block for benchmarks (RFC 2544), which no real network uses.
HERE, THERE, BITS = "198.18.99.1", "198.18.99.2", 30
NOBODY = "02:00:00:00:00:99"
WAYS = ((True, False), (False, True), (True, True))
BACK_SECONDS = 60.0
COMMAND_SECONDS = 20


@dataclass(frozen=True, slots=True)
class _Line:
    """A pair of cards, one of them in a namespace."""

    name: str  # of the namespace; of the cards with -0 and -1

    def lay(self) -> None:
        near, far = f"{self.name}-0", f"{self.name}-1"
        _ip("netns", "add", self.name)
        _ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", self.name)
        _ip("addr", "add", f"{HERE}/{BITS}", "dev", near)
        _ip("link", "set", near, "up")
        _ip("addr", "add", f"{THERE}/{BITS}", "dev", far, inside=self.name)
        _ip("link", "set", far, "up", inside=self.name)
        _ip("link", "set", "lo", "up", inside=self.name)

    def remove(self) -> None:
        """The cards go with the namespace."""
        _ip("netns", "del", self.name)

    def lose(self, *, to_agent: bool, from_agent: bool) -> None:
        if to_agent:
            self._mislead("-0", THERE)
        if from_agent:
            self._mislead("-1", HERE)

    def heal(self) -> None:
        for end, address in (("-0", THERE), ("-1", HERE)):
            with contextlib.suppress(subprocess.CalledProcessError):  # it was not misled
                _ip("neigh", "del", address, "dev", f"{self.name}{end}", inside=self._side(end))

    def _mislead(self, end: str, address: str) -> None:
        card = f"{self.name}{end}"
        wrong = ("lladdr", NOBODY, "dev", card, "nud", "permanent")
        _ip("neigh", "replace", address, *wrong, inside=self._side(end))

    def _side(self, end: str) -> str:
        return self.name if end == "-1" else ""


def _ip(*words: str, inside: str = "") -> None:
    where = ("-n", inside) if inside else ()
    subprocess.run(["ip", *where, *words], check=True, timeout=COMMAND_SECONDS, capture_output=True)


def _partition(stage: Stage) -> None:
    """Each way in the seed's order; the agent has to come back after each."""
    with _line(stage) as line, _agent_there(stage, line) as agent:
        ways = stage.random.sample(WAYS, len(WAYS))
        for place, (to_agent, from_agent) in enumerate(ways):
            share = 0.05 + 0.3 * place
            stage.wait_for_load(share, share + 0.1)
            line.lose(to_agent=to_agent, from_agent=from_agent)
            stage.pause(PAST_LEASE_SECONDS)
            line.heal()
            stage.wait(lambda: agent.name in stage.online(), "it is back", seconds=BACK_SECONDS)
        stage.settle()


@contextlib.contextmanager
def _line(stage: Stage) -> Generator[_Line]:
    line = _Line(f"c{stage.queue.removeprefix('chaos-')[:9]}")
    line.lay()
    try:
        yield line
    finally:
        line.remove()


@contextlib.contextmanager
def _agent_there(stage: Stage, line: _Line) -> Generator[AgentProcess]:
    agent = AgentProcess(f"{stage.queue}-there", stage.product, stage.directory, stage.queue)
    agent.prefix = ("ip", "netns", "exec", line.name)
    agent.extra["ORCHESTRA_URL"] = f"http://{HERE}:{stage.product.http_port}"
    stage.agents.append(agent)
    agent.start()
    try:
        stage.wait(lambda: agent.name in stage.online(), "the agent there is connected")
        yield agent
    finally:
        agent.end()


FAULTS = (
    Fault(
        name="partition",
        about="an agent's network loses what it sends, what is sent to it, and both",
        run=_partition,
        settings={"http_host": "0.0.0.0", "allowed_hosts": HERE},  # noqa: S104 - its own network
        size=Size(submits=600, rate=12.0),
        lacks=needs.namespaces,
    ),
)
