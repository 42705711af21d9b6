"""As whom PostgreSQL runs: it refuses to run as root, and root is who many a container is.

Three ways, the first that works: nobody special is just itself; root becomes an unprivileged user
if that user can reach every directory involved; otherwise root only appears to be one, in a user
namespace, and keeps its own access to, say, a checkout under /root.
"""

import os
import pwd
import stat
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from orchestra.engines.errors import EngineError

LAUNCHER = Path(__file__).with_name("launch.py")
PREFERRED_USERS = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Identity:
    """A user to run as. `same`: as we are; `become`: really; `appear`: only in a user namespace."""

    mode: Literal["same", "become", "appear"] = "same"
    uid: int = 0
    gid: int = 0

    @property
    def argument(self) -> str:
        return "same" if self.mode == "same" else f"{self.mode}:{self.uid}:{self.gid}"

    def own(self, path: Path) -> None:
        """Makes `path` belong to the user the program will really be."""
        if self.mode == "become":
            os.chown(path, self.uid, self.gid)
        else:
            os.chown(path, os.geteuid(), os.getegid())


SAME = Identity()


def unprivileged(*, reads: Iterable[Path], owns: Path) -> Identity:
    """Chooses the user for a program that must not be root.

    `reads` is what it must reach; `owns` is its data directory, which may exist already: then its
    owner decides. Raises EngineError when there is no way.
    """
    if os.geteuid() != 0:
        return SAME
    user = _user(owns)
    became = Identity("become", user.pw_uid, user.pw_gid)
    existing_owner = owns.stat().st_uid if owns.exists() else None
    reachable = all(_traversable(path, by=user) for path in (*reads, owns.parent))
    if reachable and existing_owner in {None, user.pw_uid}:
        return became
    appears = Identity("appear", user.pw_uid, user.pw_gid)
    if existing_owner in {None, 0} and _works(appears):
        return appears
    raise EngineError(
        f"PostgreSQL cannot run as root, and the user {user.pw_name} cannot reach {owns}; "
        "put the data directory where every user may pass, or start as another user."
    )


def _user(owned: Path) -> pwd.struct_passwd:
    if owned.exists() and (uid := owned.stat().st_uid) != 0:
        return pwd.getpwuid(uid)
    users = {user.pw_name: user for user in pwd.getpwall()}
    for name in PREFERRED_USERS:
        if name in users:
            return users[name]
    raise EngineError(
        "PostgreSQL cannot run as root, and there is neither a user postgres nor nobody."
    )


def _traversable(path: Path, *, by: pwd.struct_passwd) -> bool:
    """Whether the user may pass every directory above and including `path`; missing ones are ours
    to make.
    """
    resolved = path.resolve()
    return all(
        _may_pass(folder.stat(), by) for folder in (resolved, *resolved.parents) if folder.is_dir()
    )


def _may_pass(folder: os.stat_result, user: pwd.struct_passwd) -> bool:
    if folder.st_uid == user.pw_uid:
        return bool(folder.st_mode & stat.S_IXUSR)
    if folder.st_gid == user.pw_gid:
        return bool(folder.st_mode & stat.S_IXGRP)
    return bool(folder.st_mode & stat.S_IXOTH)


def _works(identity: Identity) -> bool:
    """Some containers forbid user namespaces; only trying tells."""
    result = subprocess.run(
        [*prefix(identity, signal_number=0), "/bin/true"],
        capture_output=True,
        timeout=10,
        check=False,
    )
    return result.returncode == 0


def prefix(identity: Identity, *, signal_number: int) -> list[str]:
    """What to put before a command line; the program becomes a direct child of this process."""
    python = [sys.executable, "-I", "-S", str(LAUNCHER)]
    return [*python, str(os.getpid()), str(signal_number), identity.argument]
