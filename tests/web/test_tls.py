"""Certificates: made once, renewed in time, replaced when they do not fit, refused when they cannot be used."""

import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from medlock.crypto.certificates import certificate_facts, make_authority, make_server
from medlock.errors import SetupError
from medlock.settings import Settings
from medlock.web.tls import hosts_of, is_loopback, prepare_tls, server_context

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path):
    return Settings(tmp_path)


def test_the_first_start_makes_what_it_needs(settings):
    """An authority, its key and a server certificate appear; keys are for the owner only; it can be served."""
    files = prepare_tls(settings, NOW)
    assert files.authority == settings.data_dir / "tls/ca.pem"
    assert {path.name: path.stat().st_mode & 0o777 for path in (settings.data_dir / "tls").iterdir()} == {
        "ca.pem": 0o644,
        "ca-key.pem": 0o600,
        "server.pem": 0o600,
    }
    assert certificate_facts(files.certificate.read_bytes()).covers(["localhost", "127.0.0.1", "::1"])
    assert server_context(files).minimum_version is ssl.TLSVersion.TLSv1_2


def test_nothing_changes_while_it_is_good(settings):
    """A second start leaves every file as it is."""
    prepare_tls(settings, NOW)
    before = {path: path.read_bytes() for path in (settings.data_dir / "tls").iterdir()}
    prepare_tls(settings, NOW + timedelta(days=300))
    assert before == {path: path.read_bytes() for path in (settings.data_dir / "tls").iterdir()}


def test_a_certificate_is_renewed_thirty_days_before_it_ends(settings):
    """With less than 30 days left there is a new certificate by the same authority."""
    files = prepare_tls(settings, NOW)
    authority, old = files.authority.read_bytes(), files.certificate.read_bytes()
    expires = certificate_facts(old).expires
    prepare_tls(settings, expires - timedelta(days=30, seconds=1))
    assert files.certificate.read_bytes() == old
    prepare_tls(settings, expires - timedelta(days=30))
    assert files.certificate.read_bytes() != old
    assert files.authority.read_bytes() == authority
    assert certificate_facts(files.certificate.read_bytes()).expires > expires


def test_an_authority_that_ends_is_replaced_with_its_certificate(settings):
    """After ten years both are new, and fit each other."""
    files = prepare_tls(settings, NOW)
    authority = files.authority.read_bytes()
    prepare_tls(settings, NOW + timedelta(days=3640))
    assert files.authority.read_bytes() != authority
    assert files.certificate.read_bytes().endswith(files.authority.read_bytes())


def test_another_host_gets_another_certificate(settings):
    """A certificate that does not name the host is made anew."""
    files = prepare_tls(settings, NOW)
    prepare_tls(replace(settings, public_url="https://clinic.example:8443/"), NOW)
    assert certificate_facts(files.certificate.read_bytes()).covers(["clinic.example", "localhost"])


def test_every_address_is_not_a_name():
    """Listening on every address, the certificate names this machine instead."""
    assert not {"0.0.0.0", "::"} & hosts_of(Settings("d", host="0.0.0.0"))  # noqa: S104 - compared, not bound


@pytest.mark.parametrize("lost", ["ca.pem", "ca-key.pem", "server.pem"])
def test_a_lost_file_is_made_again(settings, lost):
    """Whichever file is gone, the next start has a set that fits together."""
    files = prepare_tls(settings, NOW)
    (settings.data_dir / "tls" / lost).unlink()
    prepare_tls(settings, NOW)
    server_context(files)
    assert files.certificate.read_bytes().endswith(files.authority.read_bytes())


@pytest.mark.parametrize("damaged", ["ca.pem", "ca-key.pem", "server.pem"])
def test_a_damaged_file_is_told(settings, damaged):
    """Rubbish in a file is a sentence for the operator; it is never served."""
    prepare_tls(settings, NOW)
    (settings.data_dir / "tls" / damaged).write_text("rubbish")
    with pytest.raises(SetupError):
        prepare_tls(replace(settings, public_url="https://other.example"), NOW)


def test_the_operators_own_files(settings, tmp_path):
    """Given files are used as they are; expired, missing or single ones are refused."""
    pair = make_server(make_authority("clinic", NOW), ["clinic.example"], NOW)
    own = tmp_path / "own.pem"
    own.write_bytes(pair.key + pair.certificate)
    given = replace(settings, tls_cert=own, tls_key=own)
    files = prepare_tls(given, NOW)
    assert (files.certificate, files.authority) == (own, None)
    server_context(files)
    assert not (settings.data_dir / "tls").exists()
    for refused in (
        replace(settings, tls_cert=own),
        replace(settings, tls_key=own),
        replace(given, tls_cert=tmp_path / "none.pem"),
    ):
        with pytest.raises(SetupError):
            prepare_tls(refused, NOW)
    with pytest.raises(SetupError):
        prepare_tls(given, NOW + timedelta(days=400))


def test_a_key_that_does_not_belong_is_refused(settings, tmp_path):
    """Certificate and key of two pairs are refused before anything listens."""
    pairs = [make_server(make_authority("clinic", NOW), ["localhost"], NOW) for _ in range(2)]
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.write_bytes(pairs[0].certificate)
    key.write_bytes(pairs[1].key)
    with pytest.raises(SetupError):
        server_context(prepare_tls(replace(settings, tls_cert=certificate, tls_key=key), NOW))


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),  # noqa: S104 - compared, not bound
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.example", False),
        ("", False),
    ],
)
def test_loopback(host, local):
    """Only addresses of this machine count; a name that looks like one does not."""
    assert is_loopback(host) is local
