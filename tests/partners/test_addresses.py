"""Which addresses may be asked: public ones by name over https, in no disguise."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medlock.errors import BadRequest
from medlock.partners.addresses import Target, is_public, target_of

PRIVATE = [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1",  # noqa: S104
    "169.254.169.254", "100.64.0.1", "192.0.0.170", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1",
    "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.88.99.1",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b::8.8.8.8", "64:ff9b:1::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2001::1", "2001:db8::1", "fc00::1",
    "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "100::1", "3fff::1", "5f00::1", "fe80::1%eth0", "4000::1",
    "localhost", "", "0x7f.1", "2130706433", "127.1",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450:4001:81b::200e"]


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_the_public_internet(address):
    """Loopback, private, shared, link-local, metadata, documentation, multicast, and IPv4 inside IPv6."""
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is(address):
    """Ordinary unicast addresses."""
    assert is_public(address)


@given(st.ip_addresses(v=4))
def test_no_ipv4_hides_in_ipv6(address):
    """Mapped, compatible, 6to4 or NAT64: an IPv4 address inside IPv6 is never taken for public."""
    number = int(address)
    assert not is_public(str(IPv6Address(number)))
    assert not is_public(str(IPv6Address((0xFFFF << 32) | number)))
    assert not is_public(str(IPv6Address((0x2002 << 112) | (number << 80) | 1)))
    assert not is_public(str(IPv6Address((0x64FF9B << 96) | number)))


@given(st.ip_addresses())
def test_public_is_never_more_than_python_says(address):
    """The rule only narrows what the standard library calls global."""
    if is_public(str(address)):
        assert address.is_global
        assert not address.is_multicast
        assert isinstance(address, IPv4Address) or address.ipv4_mapped is None


@pytest.mark.parametrize(
    "url",
    [
        "http://keys.example.org/", "ftp://keys.example.org/", "https://", "https:///x", "https://localhost/",
        "https://127.0.0.1/", "https://[::1]/", "https://2130706433/", "https://0x7f.1/", "https://0177.0.0.1/",
        "https://user@keys.example.org/", "https://user:pass@keys.example.org/", "https://keys.example.org/#x",
        "https://keys.example.org:22/", "https://keys.example.org:0/", "https://keys.example.org:99999/",
        "https://keys.example.org:x/", "https://keys..example.org/", "https://-a.example.org/", "https://a_b.example/",
        "https://keys.example.org\\@evil.example/", "https://keys.example.org/\r\nhost: x", "https://keys.example.org/ x",
        "https://kéys.example.org/", "https://keys/", "https://keys.example.org./", "https://keys.example.1/",
        "https://" + "a" * 3000 + ".example/", "//keys.example.org/", "keys.example.org", "",
    ],
)  # fmt: skip
def test_what_is_no_address_to_ask(url):
    """Other schemes, numbers for hosts, users, fragments, ports of other services, and what readers disagree about."""
    with pytest.raises(BadRequest) as refusal:
        target_of(url)
    assert "example" not in str(refusal.value)


def test_the_parts_of_an_address():
    """Host in lower case, port, path with query."""
    assert target_of("https://Keys.Example.org/a/b?c=d") == Target("keys.example.org", 443, "/a/b?c=d")
    assert target_of("https://keys.example.org:8443") == Target("keys.example.org", 8443, "/")
    assert target_of("https://localhost:8443/x", local=True).host == "localhost"
