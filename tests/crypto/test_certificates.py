"""The local authority and its server certificates, judged by OpenSSL through a real handshake."""

from __future__ import annotations

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from medlock.crypto.certificates import KeyPair, certificate_facts, make_authority, make_server
from medlock.errors import SetupError

NOW = datetime.now(UTC).replace(microsecond=0)
HOSTS = ("localhost", "Clinic.Example", "127.0.0.1", "::1")


@pytest.fixture(scope="module")
def authority():
    """One authority for all tests of this file."""
    return make_authority("medlock local authority", NOW)


@pytest.fixture(scope="module")
def server(authority):
    """A certificate for four hosts."""
    return make_server(authority, HOSTS, NOW)


def _verified(pem: bytes, authority: KeyPair, host: str, when: datetime) -> bool:
    store = Store([x509.load_pem_x509_certificate(authority.certificate)])
    verifier = PolicyBuilder().store(store).time(when).build_server_verifier(x509.DNSName(host))
    try:
        verifier.verify(x509.load_pem_x509_certificate(pem), [])
    except VerificationError:
        return False
    return True


@pytest.mark.parametrize(
    ("host", "days", "accepted"),
    [
        ("localhost", 0, True),
        ("clinic.example", 396, True),
        ("clinic.example", 397, False),
        ("clinic.example", -1, False),
        ("other.example", 0, False),
    ],
)
def test_the_leaf_is_valid_for_its_hosts_and_its_time(authority, server, host, days, accepted):
    """A strict verifier (RFC 5280, Web PKI profile) takes it for the named hosts, for 397 days, and no more."""
    assert _verified(server.certificate, authority, host, NOW + timedelta(days=days)) is accepted


def test_another_authority_does_not_vouch(server):
    """Same name, other key: refused."""
    assert not _verified(server.certificate, make_authority("medlock local authority", NOW), "localhost", NOW)


def test_a_handshake_succeeds_by_name_and_by_address(authority, server, tmp_path):
    """OpenSSL on both sides: the PEM files work as they are, and an address counts as a host."""
    (tmp_path / "s.pem").write_bytes(server.certificate)
    (tmp_path / "s.key").write_bytes(server.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "s.pem", tmp_path / "s.key")
    trust = ssl.create_default_context(cadata=authority.certificate.decode())
    trust.verify_flags |= ssl.VERIFY_X509_STRICT
    for host in ("clinic.example", "127.0.0.1"):
        assert _handshake(context, trust, host) == "TLSv1.3"
    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake(context, trust, "elsewhere.example")


def _handshake(context: ssl.SSLContext, trust: ssl.SSLContext, host: str) -> str | None:
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            with context.wrap_socket(theirs, server_side=True) as secured:
                secured.recv(1)
        except (ssl.SSLError, OSError):
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with trust.wrap_socket(ours, server_hostname=host) as secured:
            return secured.version()
    finally:
        ours.close()
        thread.join()


def test_the_extensions_are_those_of_the_profile(authority, server):
    """RFC 5280 §4.2.1: who may sign what, and key identifiers that chain."""
    root = x509.load_pem_x509_certificate(authority.certificate)
    leaf = x509.load_pem_x509_certificate(server.certificate)

    def value(certificate, kind):
        extension = certificate.extensions.get_extension_for_class(kind)
        return extension.critical, extension.value

    assert value(root, x509.BasicConstraints) == (True, x509.BasicConstraints(ca=True, path_length=0))
    assert value(leaf, x509.BasicConstraints) == (True, x509.BasicConstraints(ca=False, path_length=None))
    assert value(root, x509.KeyUsage)[1].key_cert_sign
    assert not value(leaf, x509.KeyUsage)[1].key_cert_sign
    assert value(leaf, x509.KeyUsage)[1].digital_signature
    issuer = value(leaf, x509.AuthorityKeyIdentifier)[1].key_identifier
    assert issuer == value(root, x509.SubjectKeyIdentifier)[1].digest
    assert root.not_valid_after_utc - root.not_valid_before_utc == timedelta(days=3650)


def test_facts_tell_when_to_renew(server):
    """Expiry and hosts as the web layer asks for them, whatever way a host is written."""
    facts = certificate_facts(server.certificate)
    assert facts.expires == NOW - timedelta(hours=1) + timedelta(days=397)
    assert facts.covers(["LOCALHOST.", "clinic.example", "[::1]", "0:0:0:0:0:0:0:1"])
    assert not facts.covers(["localhost", "other.example"])
    assert not facts.covers(["sub.clinic.example"])


def test_an_authority_stands_for_no_host(authority):
    """A certificate without subjectAltName covers nothing."""
    assert not certificate_facts(authority.certificate).covers(["localhost"])


@pytest.mark.parametrize("pem", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate_is_refused(pem, authority):
    """The operator is told, not shown a parser's traceback."""
    with pytest.raises(SetupError, match="certificate"):
        certificate_facts(pem)
    with pytest.raises(SetupError):
        make_server(KeyPair(pem, authority.key), ["localhost"], NOW)


@pytest.mark.parametrize("key", [b"", b"nonsense"])
def test_an_authority_without_its_key_is_refused(authority, key):
    """A broken key file, or the key of another authority."""
    with pytest.raises(SetupError, match="private key"):
        make_server(KeyPair(authority.certificate, key), ["localhost"], NOW)
    with pytest.raises(SetupError, match="private key"):
        make_server(KeyPair(authority.certificate, make_authority("x", NOW).key), ["localhost"], NOW)


@pytest.mark.parametrize("hosts", [[], ["a b"], ["*"], ["bücher.example"], ["a..b"], ["-"], ["x/y"]])
def test_what_is_no_host_is_refused(authority, hosts):
    """Neither names that no client will ask for, nor wildcards."""
    with pytest.raises(SetupError, match="host"):
        make_server(authority, hosts, NOW)


def test_private_keys_are_not_shown(authority):
    """A log line with the pair in it gives nothing away."""
    assert repr(authority) == "<KeyPair>"
