"""What an instance consists of: each program, how it is started, when it is ready, and what it
needs.
"""

import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from orchestra.engines.address import Address, accepts, answers, loopback
from orchestra.engines.process import Command
from orchestra.processes.instance import Instance, environment
from orchestra.processes.planes import PlaneAddress, control_planes
from orchestra.processes.programs import Program, Step

Work = Callable[[], Awaitable[None]]


def parts(instance: Instance, *, migrate: Work, make_keys: Work) -> list[Program | Step]:
    """All programs and steps of an instance, in the order in which `status` shows them."""
    schema = Step(name="schema", run=migrate, needs=("postgres",) if instance.postgres else ())
    keys = Step(name="keys", run=make_keys, needs=("schema",))
    return [*_engines(instance), schema, keys, *_processes(instance), *_rest(instance)]


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
    """What answers. Ours import while the engines start; the gateway waits for nobody."""
    settings = instance.settings
    needs = ("schema", "nats") if instance.nats else ("schema",)
    door = loopback(settings.http_port)
    api = Address(settings.api_listen)
    return [
        *(_control_plane(instance, plane, needs) for plane in control_planes(settings)),
        Program(
            name="api",
            command=_python(instance, "api", api),
            is_ready=lambda _: answers(api, path="/ready"),
            needs=needs,
            prepares_itself=True,
        ),
        Program(
            name="gateway",
            command=instance.gateway.command(),
            is_ready=lambda _: answers(door, path="/ready"),
        ),
    ]


def _control_plane(instance: Instance, plane: PlaneAddress, needs: tuple[str, ...]) -> Program:
    address = Address(plane.listen)
    told = {
        "ORCHESTRA_CONTROL_PLANE_LISTEN": plane.listen,
        "ORCHESTRA_CONTROL_PLANE_PROBE_LISTEN": plane.probes,
    }
    return Program(
        name=plane.name,
        command=_python(instance, "control-plane", address, told),
        # It speaks gRPC only, and listens once it is ready.
        is_ready=lambda _: accepts(address),
        needs=needs,
        prepares_itself=True,
    )


def _rest(instance: Instance) -> list[Program]:
    """What works in the background, and answers chats. It leaves the processor to the others until
    the instance can be used, which takes and keeps work without it.
    """
    worker = Address(instance.settings.worker_listen)
    programs = [
        Program(
            name="worker",
            command=_python(instance, "worker", worker),
            is_ready=lambda _: answers(worker, path="/ready"),
            needs=("gateway",),
            is_vital=False,
        ),
        Program(
            name="assistant",
            command=_assistant(instance),
            needs=("keys", "gateway"),
            is_vital=False,
        ),
    ]
    if (model := instance.model) is not None:
        programs.append(
            Program(
                name="model",
                command=model.command(),
                is_ready=lambda _: model.is_ready(),
                needs=("gateway",),
                is_vital=False,
            )
        )
    return programs


def _assistant(instance: Instance) -> Command:
    return Command(
        argv=(sys.executable, "-m", "orchestra_assistant"),
        directory=Path("/"),
        environment={
            "ORCHESTRA_URL": f"http://127.0.0.1:{instance.settings.http_port}",
            "ORCHESTRA_KEY_FILE": str(instance.settings.keys_dir / "local.key"),
        },
    )


def _python(
    instance: Instance, name: str, listens: Address, told: Mapping[str, str] | None = None
) -> Command:
    return Command(
        argv=(sys.executable, "-m", "orchestra.processes", "--on-eof", name),
        directory=Path("/"),
        environment={**environment(instance.settings), **(told or {})},
        stop_seconds=15.0,
        sockets=listens.socket_files,
    )
