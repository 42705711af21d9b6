"""Disks of the product's own, which fill up, fail and lose power. They need root.

A full one is a small tmpfs. One that fails is ext4 in an image that lies on a small tmpfs: when
somebody else takes what is left of that, blocks written for the first time cannot be stored, and
after the first of them that matters the file system is read-only. A power cut is the shutdown that
ext4 and XFS have for tests: from then on whoever reads, writes or flushes is told EIO, nothing
reaches the image, not even the journal, and after the next mount it is as a dead machine's disk.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import struct
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

CHUNK = 2**20
# From linux/ext4.h and xfs_fs.h: _IOR('X', 125, __u32), without a last flush of the journal.
SHUTDOWN, WITHOUT_FLUSH = 0x8004587D, 2
UNMOUNT_SECONDS, POLL_SECONDS = 20.0, 0.2
COMMAND_SECONDS = 60


class Disk:
    """A tmpfs of a few megabytes, mounted at `home`."""

    def __init__(self, home: Path, *, megabytes: int) -> None:
        self.home, self._megabytes = home, megabytes
        self._hog = home / "hog"

    def mount(self) -> None:
        """Raises CalledProcessError if we may not."""
        _mount_tmpfs(self.home, megabytes=self._megabytes)

    def save_logs(self, target: Path) -> None:
        """They go with the disk, and are what a broken run is understood by."""
        target.mkdir(exist_ok=True)
        for log in (*self.home.glob("*.log"), *self.home.glob("data/logs/*.log")):
            with contextlib.suppress(OSError):
                shutil.copy(log, target)

    def unmount(self) -> None:
        _call(["umount", "--lazy", str(self.home)])

    def fill(self) -> None:
        """Something else on the disk takes the last byte."""
        _fill(self._hog)

    def free(self) -> None:
        self._hog.unlink()


class Image(Disk):
    """ext4 in a file on a tmpfs; `fill` takes the room below it that no block has used yet."""

    def __init__(self, home: Path, *, megabytes: int) -> None:
        super().__init__(home, megabytes=megabytes)
        self._below = home.with_name(f"{home.name}-below")
        self._image = self._below / "image"
        self._hog = self._below / "hog"

    def mount(self) -> None:
        self._below.mkdir()
        _mount_tmpfs(self._below, megabytes=self._megabytes)
        with self._image.open("wb") as image:
            image.truncate(self._megabytes * 2**20)
        _call(["mkfs.ext4", "-q", "-E", "root_owner=0:0", str(self._image)])
        self.repair()
        self.home.chmod(0o755)

    def repair(self) -> None:
        """What happens when the machine starts again: the journal is replayed."""
        _call(["mount", "-o", "loop", str(self._image), str(self.home)])

    def cut_power(self) -> None:
        descriptor = os.open(self.home, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, SHUTDOWN, struct.pack("I", WITHOUT_FLUSH))
        finally:
            os.close(descriptor)

    def take_off(self) -> None:
        """Unmounts; waits until the last process that was killed has let go."""
        limit = time.monotonic() + UNMOUNT_SECONDS
        while time.monotonic() < limit:
            done = subprocess.run(["umount", str(self.home)], check=False, capture_output=True)
            if done.returncode == 0:
                return
            time.sleep(POLL_SECONDS)
        raise AssertionError(f"somebody still works in {self.home}")

    def unmount(self) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):  # a fault that broke off half-way
            _call(["umount", "--lazy", str(self.home)])
        _call(["umount", "--lazy", str(self._below)])


def _mount_tmpfs(path: Path, *, megabytes: int) -> None:
    _call(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "chaos", str(path)])


def _call(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, timeout=COMMAND_SECONDS)


def _fill(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    size = CHUNK
    try:
        while size:
            try:
                os.write(descriptor, bytes(size))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                size //= 2
    finally:
        os.close(descriptor)
