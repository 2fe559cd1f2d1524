"""A local certificate authority and server certificates, for TLS from the first start (RFC 5280).

ECDSA P-256 throughout. The authority lives ten years and may only sign leaves (path length 0); a leaf lives 397
days, which is what browsers accept at most (CA/Browser Forum Baseline Requirements §6.3.2 as of 2020-09). Times
are passed in, and everything begins an hour early for clocks that are slow. Nothing here is stored.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from medlock.errors import SetupError

AUTHORITY_DAYS = 3650
SERVER_DAYS = 397
_EARLY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key (PKCS #8), both PEM. The key is a secret and is not printed."""

    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        return "<KeyPair>"


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What decides whether a certificate can go on serving.

    expires  the first moment at which it is no longer valid, aware, UTC
    hosts    the DNS names and IP addresses it stands for
    """

    expires: datetime
    hosts: frozenset[str]

    def covers(self, hosts: Iterable[str]) -> bool:
        """Whether it names every one of these hosts, letter for letter; wildcards are not made here."""
        return {_canonical(host) for host in hosts} <= self.hosts


def make_authority(name: str, now: datetime) -> KeyPair:
    """A new local authority called `name`, which people see when they trust it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _common_name(name)
    builder = (
        _begun(subject, subject, key, now, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    )
    return _pair(builder, key, key)


def make_server(authority: KeyPair, hosts: Iterable[str], now: datetime) -> KeyPair:
    """A certificate for these DNS names and IP addresses, followed in the PEM by the authority's.

    Raises SetupError when the authority's key cannot be read, or a host is neither a name nor an address.
    """
    issuer, issuer_key = _loaded(authority)
    key = ec.generate_private_key(ec.SECP256R1())
    names = [_general_name(host) for host in sorted({_canonical(host) for host in hosts})]
    if not names:
        raise SetupError("A server certificate needs at least one host name.")
    builder = (
        _begun(_common_name("medlock server"), issuer.subject, key, now, SERVER_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    leaf = _pair(builder, key, issuer_key)
    return KeyPair(leaf.certificate + authority.certificate, leaf.key)


def certificate_facts(pem: bytes) -> CertificateFacts:
    """Facts about the first certificate in a PEM file. Raises SetupError when there is none."""
    certificate = _certificate(pem)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return CertificateFacts(certificate.not_valid_after_utc, frozenset())
    found = [*names.get_values_for_type(x509.DNSName)]
    found += [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    return CertificateFacts(certificate.not_valid_after_utc, frozenset(map(_canonical, found)))


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLY)
        .not_valid_after(now - _EARLY + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    """An authority signs certificates and revocation lists, a server signs handshakes (RFC 5280 §4.2.1.3)."""
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pair(
    builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey
) -> KeyPair:
    certificate = builder.sign(signer, SHA256()).public_bytes(Encoding.PEM)
    return KeyPair(certificate, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _loaded(authority: KeyPair) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    certificate = _certificate(authority.certificate)
    try:
        key = load_pem_private_key(authority.key, password=None)
    except (ValueError, TypeError) as error:
        raise SetupError("The local authority's private key cannot be read. Remove both its files.") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise SetupError("The local authority's private key is not that of its certificate. Remove both its files.")
    return certificate, key


def _certificate(pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise SetupError("A certificate file holds no certificate in PEM form. Replace or remove it.") from error


def _common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _canonical(host: str) -> str:
    """Names in lower case without a final dot, addresses in their shortest form."""
    try:
        return str(ip_address(host.strip("[]")))
    except ValueError:
        return host.lower().removesuffix(".")


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        pass
    labels = host.split(".")
    if not host.isascii() or any(not label.strip("-").replace("-", "").isalnum() for label in labels):
        raise SetupError("A host for the server certificate is neither a DNS name (in ASCII) nor an IP address.")
    return x509.DNSName(host)
