"""Whose address counts: the peer's, or what a proxy of the operator's says, never what a caller writes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medlock.errors import SetupError
from medlock.web.limits.claimed import claimed_client
from medlock.web.peer import Peers, counted


def address(peer, forwarded="", proxies=()):
    """What counts."""
    headers = {b"x-forwarded-for": forwarded.encode()} if forwarded else {}
    return Peers(proxies).address({"client": None if peer is None else (peer, 1)}, headers)


@pytest.mark.parametrize(
    ("peer", "forwarded", "proxies", "expected"),
    [
        ("203.0.113.9", "", (), "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1", (), "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1", ("10.0.0.0/8",), "198.51.100.1"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.1", ("10.0.0.0/8",), "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, 10.0.0.7", ("10.0.0.0/8",), "198.51.100.1"),
        ("10.0.0.1", "", ("10.0.0.0/8",), "10.0.0.1"),
        ("10.0.0.1", "rubbish", ("10.0.0.0/8",), "unknown"),
        ("2001:db8:1:2:3:4:5:6", "", (), "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", "", (), "203.0.113.9"),
        ("fe80::1%eth0", "", (), "fe80::/64"),
        (None, "", (), "local"),
    ],
)
def test_whose_address_counts(peer, forwarded, proxies, expected):
    """The table above."""
    assert address(peer, forwarded, proxies) == expected


def test_a_proxy_that_is_none_is_refused():
    """A host name, or an address with bits beyond its network, is a sentence for the operator."""
    for wrong in ("balancer.example", "10.0.0.1/8"):
        with pytest.raises(SetupError):
            Peers((wrong,))


@given(st.text(max_size=80))
def test_whatever_is_written_counts_as_something(text):
    """No header makes the counting fail."""
    assert address("10.0.0.1", text.replace("\n", ""), ("10.0.0.0/8",))
    assert counted(text)


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_whatever_is_claimed_counts_as_something(header, body):
    """No claim makes the counting fail, and every name is short."""
    assert len(claimed_client({b"authorization": header}, body)) in {0, 16}
    assert len(claimed_client({b"authorization": b"Basic " + header}, b"client_assertion=a." + body + b".c")) in {0, 16}


def test_a_claim_is_the_same_however_it_is_made():
    """client_id in the form, in Basic, or as issuer of an assertion."""
    form = claimed_client({}, b"grant_type=x&client_id=app-1")
    assert form == claimed_client({b"authorization": b"Basic YXBwLTE6c2VjcmV0"}, b"")
    assert form == claimed_client({}, b"client_assertion=e30.eyJpc3MiOiJhcHAtMSJ9.c2ln")
    assert form != claimed_client({}, b"client_id=app-2")
    assert claimed_client({}, b"") == ""
