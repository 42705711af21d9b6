"""Becomes another program, under the user and the death signal it is told.

Run as a file with `python -I -S`, so it imports the standard library only and costs 10 ms. It
exists because these steps must happen between fork and exec, where a Python program with threads
may not run code of its own; and because a change of user clears the death signal, so the order
matters.

    launch.py <pid of the parent> <signal> <user> <program> [argument]...

`<user>` is `same`, `become:<uid>:<gid>` or `appear:<uid>:<gid>` (see identity.py).
"""

import ctypes
import os
import sys
from pathlib import Path

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    parent, death_signal, user, *program = arguments
    mode, _, ids = user.partition(":")
    if mode != "same":
        uid, _, gid = ids.partition(":")
        {"become": become, "appear": appear}[mode](int(uid), int(gid))
    die_with(int(parent), int(death_signal))
    os.execv(program[0], program)  # noqa: S606 - the whole purpose; no shell is involved


def become(uid: int, gid: int) -> None:
    """Gives up root for good."""
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def appear(uid: int, gid: int) -> None:
    """Stays who we are outside, but is `uid` in a namespace of its own (user_namespaces(7))."""
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    _call("unshare", CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {outer_uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {outer_gid} 1")
    os.setgid(gid)
    os.setuid(uid)


def die_with(parent: int, death_signal: int) -> None:
    """Asks the kernel for `death_signal` when the parent ends, however it ends (prctl(2))."""
    _call("prctl", PR_SET_PDEATHSIG, death_signal)
    if os.getppid() != parent:  # it ended before we asked
        sys.exit("the parent process is gone")


def _call(name: str, *values: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*values) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")


if __name__ == "__main__":
    main(sys.argv[1:])
