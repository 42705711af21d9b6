"""The certificate of the HTTPS door: made once, anew in time, and never over somebody else's."""

import datetime
from pathlib import Path

import pytest
from cryptography import x509
from orchestra.engines import certificates
from orchestra.foundation import clock


def test_it_names_this_machine_and_what_it_is_called(tmp_path: Path) -> None:
    made = certificates.prepare(tmp_path, names=["orchestra.example", "10.0.0.5"])
    parsed = x509.load_pem_x509_certificate(made.chain.read_bytes())
    names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", "orchestra.example"} <= set(names.get_values_for_type(x509.DNSName))
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    assert addresses == {"127.0.0.1", "::1", "10.0.0.5"}


def test_it_is_kept(tmp_path: Path) -> None:
    before = certificates.prepare(tmp_path).chain.read_bytes()
    assert certificates.prepare(tmp_path).chain.read_bytes() == before


def test_only_its_owner_can_read_the_key(tmp_path: Path) -> None:
    assert certificates.prepare(tmp_path).key.stat().st_mode & 0o077 == 0


def test_another_name_needs_another_certificate(tmp_path: Path) -> None:
    before = certificates.prepare(tmp_path).chain.read_bytes()
    assert certificates.prepare(tmp_path, names=["other.example"]).chain.read_bytes() != before


def test_one_that_ends_soon_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = certificates.prepare(tmp_path).chain.read_bytes()
    later = clock.now() + datetime.timedelta(days=certificates.VALID_DAYS - 1)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert certificates.prepare(tmp_path).chain.read_bytes() != before


def test_one_of_the_operator_is_left_alone(tmp_path: Path) -> None:
    made = certificates.prepare(tmp_path)
    made.chain.write_text("theirs")
    made.key.write_text("theirs")
    assert certificates.prepare(tmp_path, names=["other.example"]).chain.read_text() == "theirs"
