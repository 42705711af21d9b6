"""A real S3 server for tests: SeaweedFS in one process, with a bucket of ours."""

import json
import sysconfig
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from orchestra.engines.process import Command, free_ports
from orchestra.engines.testing import Running
from orchestra.foundation.settings import Settings

BUCKET = "orchestra"
ACCESS_KEY, SECRET_KEY = "AKIAORCHESTRA", "a-secret-of-the-test"
READ_ONLY_KEY, WRITE_ONLY_KEY = "AKIAREADER", "AKIAWRITER"
EVERYTHING = ["Admin", "Read", "Write", "List", "Tagging"]
PARTS = ("master", "volume", "filer", "s3")
LISTENING = [f"{part}.port{kind}" for part in PARTS for kind in ("", ".grpc")]


@dataclass(frozen=True, slots=True)
class RunningS3:
    """Where it listens; `process` can be killed and started again."""

    endpoint: str
    process: Running

    def use(self, settings: Settings, **changes: object) -> Settings:
        """Settings under which new blobs go here."""
        values: dict[str, object] = {
            "blob_store": "s3",
            "s3_bucket": BUCKET,
            "s3_endpoint": self.endpoint,
            "s3_access_key": ACCESS_KEY,
            "s3_secret_key": SECRET_KEY,
        }
        return settings.with_values("test", **(values | changes))


@contextmanager
def start_s3(directory: Path) -> Generator[RunningS3]:
    """Yields a running server; its files are in `directory`/s3. It starts in about 3 s."""
    data = directory / "s3"
    data.mkdir()
    (data / "identities.json").write_text(json.dumps(_identities()))
    ports = dict(zip(LISTENING, free_ports(len(LISTENING)), strict=True))
    endpoint = f"http://127.0.0.1:{ports['s3.port']}"
    filer = f"http://127.0.0.1:{ports['filer.port']}"
    process = Running(
        _command(data, ports),
        log=directory / "s3.log",
        is_ready=lambda _: _answers(endpoint) and _has_bucket(filer),
    )
    try:
        process.start()
        yield RunningS3(endpoint, process)
    finally:
        process.kill()


def _command(data: Path, ports: dict[str, int]) -> Command:
    listening = [f"-{name}={port}" for name, port in ports.items()]
    program = Path(sysconfig.get_path("scripts")) / "weed"
    return Command(
        argv=(
            str(program),
            "server",
            f"-dir={data}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            *listening,
            "-filer",
            "-s3",
            f"-s3.config={data / 'identities.json'}",
            "-s3.iam=false",
            "-s3.autoCreateBucket=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-master.volumeSizeLimitMB=256",
            "-master.telemetry=false",
            "-volume.max=20",
            "-volume.minFreeSpace=10MiB",
        ),
        directory=data,
    )


def _identities() -> object:
    return {
        "identities": [
            {
                "name": name,
                "credentials": [{"accessKey": key, "secretKey": SECRET_KEY}],
                "actions": actions,
            }
            for name, key, actions in (
                ("owner", ACCESS_KEY, EVERYTHING),
                ("reader", READ_ONLY_KEY, ["Read", "List"]),
                ("blind", WRITE_ONLY_KEY, ["Write"]),
            )
        ]
    }


def _answers(endpoint: str) -> bool:
    try:
        return httpx.get(endpoint, timeout=2).status_code == 403
    except httpx.HTTPError:
        return False


def _has_bucket(filer: str) -> bool:
    """Makes the bucket, and sees that something can be stored."""
    try:
        made = httpx.post(f"{filer}/buckets/{BUCKET}/", timeout=5)
        stored = httpx.put(f"{filer}/ready", content=b"x" * 10_000, timeout=5)
    except httpx.HTTPError:
        return False
    return made.is_success and stored.is_success
