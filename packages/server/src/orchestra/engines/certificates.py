"""A self-signed certificate for the HTTPS door, until the operator brings a real one."""

import datetime
import hashlib
import ipaddress
import json
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestra.engines.process import make_directory, write_private
from orchestra.foundation import clock

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

# What browsers accept at most (CA/Browser Forum ballot 193) for a certificate that is trusted by
# hand.
VALID_DAYS = 397
RENEW_DAYS = 30
# Tells our own certificate from the operator's.
MEMORY = "server.json"


@dataclass(frozen=True, slots=True)
class Certificate:
    """The files of a certificate and its private key, in PEM."""

    chain: Path
    key: Path


def prepare(directory: Path, *, names: Iterable[str] = ()) -> Certificate:
    """Makes a certificate for this machine and further `names`, and makes it anew when they change
    or a month before it ends. One that the operator put in its place is left alone.
    """
    make_directory(directory)
    certificate = Certificate(directory / "server.crt", directory / "server.key")
    wanted = tuple(sorted({*_own_names(), *names}))
    if not _is_good(certificate, directory / MEMORY, wanted):
        _create(certificate, directory / MEMORY, wanted)
    return certificate


def _is_good(certificate: Certificate, memory: Path, names: tuple[str, ...]) -> bool:
    if not (certificate.chain.exists() and certificate.key.exists()):
        return False
    made = _remembered(memory)
    if made is None or made["sha256"] != _digest(certificate):
        return True  # not one of ours
    end = datetime.datetime.fromisoformat(made["end"])
    lasts = clock.now() + datetime.timedelta(days=RENEW_DAYS) < end
    return lasts and tuple(made["names"]) == names


def _remembered(memory: Path) -> dict[str, Any] | None:
    try:
        return json.loads(memory.read_bytes())
    except (OSError, ValueError):
        return None


def _digest(certificate: Certificate) -> str:
    return hashlib.sha256(certificate.chain.read_bytes()).hexdigest()


def _create(certificate: Certificate, memory: Path, names: tuple[str, ...]) -> None:
    # Imported here: needed once a year, and it takes 80 ms.
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    end = clock.now() + datetime.timedelta(days=VALID_DAYS)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain = _self_signed(key, end, names)
    digest = hashlib.sha256(chain.encode()).hexdigest()
    write_private(memory, json.dumps({"end": end.isoformat(), "sha256": digest, "names": names}))
    write_private(certificate.key, pem.decode())
    write_private(certificate.chain, chain)


def _self_signed(
    key: "EllipticCurvePrivateKey", end: datetime.datetime, names: tuple[str, ...]
) -> str:
    from cryptography import x509  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415

    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "AI Orchestra")])
    addresses = {text: address for text in names if (address := _as_address(text))}
    alternatives = [
        *(x509.IPAddress(address) for address in addresses.values()),
        *(x509.DNSName(text) for text in names if text not in addresses),
    ]
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(clock.now() - datetime.timedelta(days=1))
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def _as_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _own_names() -> set[str]:
    """By which this machine may be asked for; a host name that is no DNS name is left out."""
    host = socket.gethostname()
    usable = host.isascii() and all(part.replace("-", "").isalnum() for part in host.split("."))
    return {"localhost", "127.0.0.1", "::1", *([host] if usable else [])}
