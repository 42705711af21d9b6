"""What an instance consists of: each program, how it is started, when it is ready, and what it
needs.
"""

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from orchestra.engines.address import Address, accepts, answers, loopback
from orchestra.engines.process import Command
from orchestra.processes.instance import Instance, environment
from orchestra.processes.supervisor import Program, Step

Work = Callable[[], Awaitable[None]]
Ready = Callable[[int], bool]


def parts(instance: Instance, *, migrate: Work, make_keys: Work) -> list[Program | Step]:
    """All programs and steps of an instance, in the order in which `status` shows them."""
    schema = Step(name="schema", run=migrate, needs=("postgres",) if instance.postgres else ())
    keys = Step(name="keys", run=make_keys, needs=("schema",))
    return [*_engines(instance), schema, keys, *_processes(instance), *_extras(instance)]


def _engines(instance: Instance) -> list[Program]:
    programs: list[Program] = []
    if (postgres := instance.postgres) is not None:
        programs.append(
            Program(name="postgres", command=postgres.command(), is_ready=postgres.is_ready)
        )
    if (nats := instance.nats) is not None:
        programs.append(
            Program(name="nats", command=nats.command(), is_ready=lambda _: nats.is_ready())
        )
    return programs


def _processes(instance: Instance) -> list[Program]:
    """Our own processes and the gateway, which is started last but waits for nobody."""
    settings = instance.settings
    needs = ("schema", "nats") if instance.nats else ("schema",)
    door = loopback(settings.http_port)
    return [
        _ours(instance, "control-plane", Address(settings.control_plane_listen), needs),
        _ours(instance, "api", Address(settings.api_listen), needs),
        _ours(instance, "worker", Address(settings.worker_listen), needs),
        Program(
            name="gateway",
            command=instance.gateway.command(),
            is_ready=lambda _: answers(door, path="/ready"),
        ),
    ]


def _extras(instance: Instance) -> list[Program]:
    """What answers chats. It starts last: the instance is ready, and takes questions, without."""
    assistant = Command(
        argv=(sys.executable, "-m", "orchestra_assistant"),
        directory=Path("/"),
        environment={
            "ORCHESTRA_URL": f"http://127.0.0.1:{instance.settings.http_port}",
            "ORCHESTRA_KEY_FILE": str(instance.settings.keys_dir / "local.key"),
        },
    )
    programs = [
        Program(name="assistant", command=assistant, needs=("keys", "gateway"), is_vital=False)
    ]
    if (model := instance.model) is not None:
        programs.append(
            Program(
                name="model",
                command=model.command(),
                needs=("gateway",),
                is_ready=lambda _: model.is_ready(),
                is_vital=False,
            )
        )
    return programs


def _ours(instance: Instance, name: str, listens: Address, needs: tuple[str, ...]) -> Program:
    command = Command(
        argv=(sys.executable, "-m", "orchestra.processes", "--on-eof", name),
        directory=Path("/"),
        environment=environment(instance.settings),
        stop_seconds=15.0,
        sockets=listens.socket_files,
    )
    return Program(
        name=name,
        command=command,
        is_ready=_ready_at(name, listens),
        needs=needs,
        prepares_itself=True,
    )


def _ready_at(name: str, listens: Address) -> Ready:
    """The control plane speaks gRPC only and listens when ready; the others say so over HTTP."""
    if name == "control-plane":
        return lambda _pid: accepts(listens)
    return lambda _pid: answers(listens, path="/ready")
