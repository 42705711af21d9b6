"""What a fault may need of the machine: each says in words what is missing, or nothing."""

import os
import shutil
import subprocess

from e2e.product import ROOT


def nothing() -> str:
    return ""


def root() -> str:
    return "" if os.geteuid() == 0 else "mounts need root"


def images() -> str:
    """Loop images with ext4 in them."""
    if missing := root():
        return missing
    return "" if shutil.which("mkfs.ext4") else "there is no mkfs.ext4"


def namespaces() -> str:
    """Network namespaces, by the `ip` of iproute2."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    return "" if shutil.which("ip") else "there is no ip (iproute2)"


def commit(revision: str) -> str:
    """An older state of this repository."""
    found = subprocess.run(
        ["git", "cat-file", "-e", f"{revision}^{{commit}}"],
        cwd=ROOT,
        check=False,
        capture_output=True,
    )
    return "" if found.returncode == 0 else f"commit {revision[:12]} is not in this clone"
