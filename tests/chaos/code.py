"""The code that a run's product and agents use: this checkout's, or an older commit's."""

import os
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

from e2e.product import ROOT

PACKAGES = ("protocol", "sdk", "cli", "assistant", "server")
COMMAND_SECONDS = 60


class Code:
    """A place in which the code of one version lies, and later another's."""

    def __init__(self, place: Path) -> None:
        self._place = place  # a link, so that processes started later find the other version

    @property
    def path(self) -> str:
        """For PYTHONPATH: in front of what is installed, which is this checkout."""
        return _path(self._place)

    @property
    def path_of_now(self) -> str:
        """The same for what shall stay with the version that is there now."""
        return _path(self._place.resolve())

    def become(self, revision: str) -> None:
        """Raises CalledProcessError if this clone has no such commit."""
        target = self._place.with_name(f"code-{revision[:12]}")
        command = ["git", "archive", revision, *(f"packages/{name}" for name in PACKAGES)]
        packed = subprocess.run(
            command, cwd=ROOT, check=True, capture_output=True, timeout=COMMAND_SECONDS
        )
        with tarfile.open(fileobj=BytesIO(packed.stdout)) as archive:
            archive.extractall(target, filter="data")
        self._point_to(target)

    def become_ours(self) -> None:
        self._point_to(ROOT)

    def _point_to(self, target: Path) -> None:
        fresh = self._place.with_name("code-next")
        fresh.symlink_to(target)
        fresh.replace(self._place)


def _path(root: Path) -> str:
    found = [str(root / "packages" / name / "src") for name in PACKAGES]
    return os.pathsep.join((*found, os.environ.get("PYTHONPATH", "")))
