"""A self-signed certificate for the HTTPS door, until the operator brings a real one."""

import datetime
import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestra.engines.process import make_directory, write_private
from orchestra.foundation import clock

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

# What browsers accept at most (CA/Browser Forum ballot 193) for a certificate that is trusted by
# hand.
VALID_DAYS = 397
RENEW_DAYS = 30


@dataclass(frozen=True, slots=True)
class Certificate:
    """The files of a certificate and its private key, in PEM."""

    chain: Path
    key: Path


def prepare(directory: Path) -> Certificate:
    """Makes the certificate, or makes it anew a month before it ends. The files can be replaced by
    others.
    """
    make_directory(directory)
    certificate = Certificate(directory / "server.crt", directory / "server.key")
    if not _lasts(certificate, directory / "server.expires"):
        _create(certificate, directory / "server.expires")
    return certificate


def _lasts(certificate: Certificate, expires: Path) -> bool:
    """Whether it is good for another month; one that we did not make has no such file and is left
    alone.
    """
    if not (certificate.chain.exists() and certificate.key.exists()):
        return False
    try:
        end = datetime.datetime.fromisoformat(expires.read_text())
    except FileNotFoundError:
        return True
    except ValueError:
        return False
    return clock.now() + datetime.timedelta(days=RENEW_DAYS) < end


def _create(certificate: Certificate, expires: Path) -> None:
    # Imported here: needed once a year, and it takes 80 ms.
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    end = clock.now() + datetime.timedelta(days=VALID_DAYS)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_private(certificate.key, pem.decode())
    write_private(certificate.chain, _self_signed(key, end))
    write_private(expires, end.isoformat())


def _self_signed(key: "EllipticCurvePrivateKey", end: datetime.datetime) -> str:
    from cryptography import x509  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415

    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "AI Orchestra")])
    addresses = [ipaddress.ip_address(text) for text in ("127.0.0.1", "::1")]
    names = [*map(x509.DNSName, _host_names()), *map(x509.IPAddress, addresses)]
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(clock.now() - datetime.timedelta(days=1))
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def _host_names() -> list[str]:
    """Names by which this machine may be asked for; one that is no DNS name is left out."""
    host = socket.gethostname()
    usable = host.isascii() and all(part.replace("-", "").isalnum() for part in host.split("."))
    return ["localhost", *([host] if usable and host != "localhost" else [])]
