"""What every key provider must do (docs/spec/keystore.md §6); each provider's tests subclass this.

A subclass gives a `service`: the thing that stays when a provider object goes, be it a directory, a keyring or a
key service. It can misbehave: while `outage()` lasts, nothing reaches it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from random import Random
from typing import Protocol

import pytest

from medlock.errors import MedlockError, SetupError, Tampered, Unavailable
from medlock.store.kek.provider import EpochDestroyed, KekProvider

STORE = bytes(range(16))
KEY = bytes(range(32))
AAD = b"whatever the key is bound to"


class Service(Protocol):
    """The lasting side of a provider."""

    def provider(self) -> KekProvider:
        """A new provider object on the same service, as after a restart."""

    def outage(self) -> AbstractContextManager[None]:
        """The service does not answer while this lasts."""


class KekConformance:
    """The suite; `service` is the subclass's fixture."""

    @pytest.fixture
    def enrolled(self, service):
        """A provider with a store and epoch 1, and what it takes to open it again."""
        provider = service.provider()
        parameters = provider.enrol(STORE)
        provider.new_epoch(1)
        return provider, parameters

    def reopened(self, service, parameters):
        """As another process would have it."""
        provider = service.provider()
        provider.connect(STORE, parameters)
        return provider

    @pytest.mark.parametrize("seed", range(12))
    def test_what_is_wrapped_opens(self, enrolled, seed):
        """Any key with any aad, also from a mutable buffer, and never to the same bytes twice."""
        provider, _ = enrolled
        random = Random(seed)
        key, aad = random.randbytes(32), random.randbytes(random.randrange(64))
        blob = provider.wrap(1, bytearray(key), aad)
        assert provider.unwrap(1, blob, aad) == key
        assert key not in blob
        assert blob != provider.wrap(1, key, aad)

    def test_another_process_opens_it(self, service, enrolled):
        """The parameters and the service are all it takes, in both directions."""
        provider, parameters = enrolled
        other = self.reopened(service, parameters)
        assert other.unwrap(1, provider.wrap(1, KEY, AAD), AAD) == KEY
        other.new_epoch(2)
        assert provider.unwrap(2, other.wrap(2, KEY, AAD), AAD) == KEY

    def test_a_changed_byte_is_noticed(self, enrolled):
        """One flipped bit in each byte of the blob."""
        provider, _ = enrolled
        blob = provider.wrap(1, KEY, AAD)
        for position, byte in enumerate(blob):
            changed = blob[:position] + bytes((byte ^ 1 << position % 8,)) + blob[position + 1 :]
            with pytest.raises(Tampered):
                provider.unwrap(1, changed, AAD)

    @pytest.mark.parametrize("aad", [b"", AAD[:-1], AAD + b"\0"])
    def test_wrong_aad_is_noticed(self, enrolled, aad):
        """What it is bound to must be said again exactly."""
        provider, _ = enrolled
        with pytest.raises(Tampered):
            provider.unwrap(1, provider.wrap(1, KEY, AAD), aad)

    def test_wrong_epoch_is_noticed(self, enrolled):
        """A blob of one epoch does not open under another."""
        provider, _ = enrolled
        provider.new_epoch(2)
        with pytest.raises(Tampered):
            provider.unwrap(2, provider.wrap(1, KEY, AAD), AAD)

    def test_another_store_does_not_open_it(self, service, enrolled):
        """Two stores on one service share nothing."""
        provider, _ = enrolled
        other = service.provider()
        other.enrol(bytes(16))
        other.new_epoch(1)
        with pytest.raises(Tampered):
            other.unwrap(1, provider.wrap(1, KEY, AAD), AAD)

    def test_an_unknown_epoch_is_refused(self, enrolled):
        """Neither wrapped nor opened under an epoch that nobody made."""
        provider, _ = enrolled
        with pytest.raises(SetupError):
            provider.wrap(7, KEY, AAD)
        with pytest.raises(SetupError):
            provider.unwrap(7, provider.wrap(1, KEY, AAD), AAD)

    def test_making_an_epoch_twice_keeps_the_first(self, service, enrolled):
        """A ratchet that was killed asks again."""
        provider, parameters = enrolled
        blob = provider.wrap(1, KEY, AAD)
        self.reopened(service, parameters).new_epoch(1)
        provider.new_epoch(1)
        assert provider.unwrap(1, blob, AAD) == KEY

    def test_a_destroyed_epoch_is_gone_for_ever(self, service, enrolled):
        """Not wrapped, opened or made anew: by this object, another one, or one made later."""
        provider, parameters = enrolled
        bystander = self.reopened(service, parameters)
        provider.new_epoch(2)
        old, new = provider.wrap(1, KEY, AAD), provider.wrap(2, KEY, AAD)
        provider.destroy_epoch(1)
        for each in (provider, bystander, self.reopened(service, parameters)):
            with pytest.raises(EpochDestroyed):
                each.unwrap(1, old, AAD)
            with pytest.raises(EpochDestroyed):
                each.wrap(1, KEY, AAD)
            with pytest.raises(EpochDestroyed):
                each.new_epoch(1)
            assert each.unwrap(2, new, AAD) == KEY

    def test_destroying_reaches_earlier_epochs_and_may_be_repeated(self, service, enrolled):
        """Epochs 1 and 2 go with 2, whoever asks how often; 3 stays, and the mark never moves back."""
        provider, parameters = enrolled
        provider.new_epoch(2)
        provider.new_epoch(3)
        blobs = {epoch: provider.wrap(epoch, KEY, AAD) for epoch in (1, 2, 3)}
        for epoch in (2, 2, 1):
            provider.destroy_epoch(epoch)
            self.reopened(service, parameters).destroy_epoch(epoch)
        for epoch in (1, 2):
            with pytest.raises(EpochDestroyed):
                provider.unwrap(epoch, blobs[epoch], AAD)
        assert provider.unwrap(3, blobs[3], AAD) == KEY

    def test_an_outage_is_said_and_leaves_no_trace(self, service, enrolled):
        """Every call says that the service is unavailable; afterwards all is as before."""
        provider, parameters = enrolled
        blob = provider.wrap(1, KEY, AAD)
        calls = (
            lambda: provider.new_epoch(2),
            lambda: provider.wrap(1, KEY, AAD),
            lambda: provider.unwrap(1, blob, AAD),
            lambda: provider.destroy_epoch(1),
        )
        with service.outage():
            for call in calls:
                with pytest.raises(Unavailable):
                    call()
        assert provider.unwrap(1, blob, AAD) == KEY
        assert self.reopened(service, parameters).unwrap(1, blob, AAD) == KEY
        with pytest.raises(SetupError):
            provider.wrap(2, KEY, AAD)

    def test_it_says_where_the_keys_lie(self, enrolled):
        """Name and place are given, and a verdict that is not plain yes has its reasons."""
        provider, _ = enrolled
        attestation = provider.attest()
        assert attestation.name == provider.name
        assert attestation.place
        assert attestation.breach_safe or attestation.reasons
        assert all(" " in reason and reason[0].isupper() for reason in attestation.reasons)

    def test_nothing_secret_is_shown(self, enrolled):
        """Representations and errors carry no key material, and public parameters are too short to hold a key."""
        provider, parameters = enrolled
        assert repr(provider) == f"<{type(provider).__name__}>"
        blob = provider.wrap(1, KEY, AAD)
        provider.destroy_epoch(1)
        with pytest.raises(MedlockError) as refusal:
            provider.unwrap(1, blob, AAD)
        assert blob.hex() not in str(refusal.value) + refusal.value.reason
        assert all(len(value) < 64 for value in parameters.values())
