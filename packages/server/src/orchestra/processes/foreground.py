"""One instance in the foreground: lock, clean up, prepare, supervise, say where it is, stop."""

import os
import resource
from typing import Any

import anyio

from orchestra.engines.errors import DirectoryUnusable
from orchestra.foundation import clock
from orchestra.foundation.settings import Settings
from orchestra.processes import catalog, instance, leftovers, record, terminal, welcome
from orchestra.processes.instance import Instance
from orchestra.processes.record import ProcessRecord
from orchestra.processes.supervisor import Supervisor

SHOWN_STATES = frozenset({"ready", "restarting"})


def start(settings: Settings, *, as_json: bool) -> int:
    """Runs until a signal; raises OrchestraError when the instance cannot be started."""
    os.umask(0o077)
    _allow_many_files()
    for warning in settings.warnings:
        terminal.say(f"warning: {warning}")
    instance.make_data_directory(settings)
    with leftovers.exclusive(settings):
        former = record.read(settings)
        leftovers.end(former)
        prepared = instance.prepare(settings, former)
        anyio.run(_Run(prepared, as_json=as_json).supervise)
    return terminal.SUCCESS


def _allow_many_files() -> None:
    """Ten thousand connections need as many files; the children inherit what is allowed here."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class _Run:
    """One run of the supervisor, with what it shows and records."""

    def __init__(self, prepared: Instance, *, as_json: bool) -> None:
        self._settings = prepared.settings
        self._record = prepared.record.evolve(
            supervisor=record.identify(os.getpid()), state="starting", processes=()
        )
        self._as_json = as_json
        self._started = clock.monotonic()
        self._token: str | None = None
        self._trouble = ""
        self._supervisor = Supervisor(
            catalog.parts(prepared, migrate=self._migrate, make_keys=self._make_keys),
            log_directory=self._settings.data_dir / "logs",
            on_change=self._on_change,
            on_trouble=self._warn,
        )

    async def supervise(self) -> None:
        try:
            await self._supervisor.run(self._on_ready)
        finally:
            self._save(state="stopped", processes=())
            terminal.say("stopped")

    async def _migrate(self) -> None:
        # Imported here: asyncpg takes 140 ms, in which the engines can already start.
        from orchestra import migrations  # noqa: PLC0415

        if await migrations.migrate(self._settings.database_url):
            self._say("database schema brought up to date")

    async def _make_keys(self) -> None:
        self._token = await welcome.prepare(self._settings)

    async def _on_ready(self) -> None:
        self._save(state="ready")
        url = self._settings.base_url
        link = f"{url}/setup#token={self._token}" if self._token else None
        if self._as_json:
            terminal.answer_json(
                {"url": url, "setup_url": link, "data_dir": str(self._settings.data_dir)}
            )
        else:
            terminal.answer(welcome.text(url, link))

    def _on_change(self, changed: ProcessRecord) -> None:
        if changed.state in SHOWN_STATES:
            last = f" ({changed.last_end})" if changed.state == "restarting" else ""
            self._say(f"{changed.name} {changed.state}{last}")
        self._save(processes=self._supervisor.records())

    def _say(self, message: str) -> None:
        terminal.say(f"{clock.monotonic() - self._started:6.1f} s  {message}")

    def _save(self, **changes: Any) -> None:
        """A full disk costs what `status` shows, not the instance."""
        self._record = self._record.evolve(**changes)
        try:
            record.write(self._settings, self._record)
        except DirectoryUnusable as error:
            self._warn(error.message)

    def _warn(self, trouble: str) -> None:
        """Once for each trouble in a row: the log may be on the disk that fails."""
        if trouble != self._trouble:
            self._say(f"warning: {trouble}")
        self._trouble = trouble
