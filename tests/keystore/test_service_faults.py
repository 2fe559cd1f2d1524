"""What each key service refuses in its own way: wrong credentials, forgery that only it can know of, its own destruction."""

from __future__ import annotations

import re

import pkcs11
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from google.api_core.exceptions import GoogleAPIError
from grpc import StatusCode

from keystore import fake_azure, fake_vault
from keystore.kek_conformance import AAD, KEY, STORE
from keystore.services import (
    REGION,
    SOFTHSM,
    AwsService,
    AzureService,
    GcpService,
    HsmService,
    VaultService,
    softhsm_ready,
)
from keystore.test_services import tokens as tokens  # noqa: PLC0414 - a fixture
from medlock.errors import SetupError, Tampered, Unavailable
from medlock.store.kek.credentials import Credential
from medlock.store.kek.provider import EpochDestroyed
from medlock.store.kek.service import CHECK_BYTES, _check


def made(kind):
    """A fixture of one service with epoch 1."""

    @pytest.fixture
    def service(tmp_path):
        found = kind(tmp_path)
        found.first = found.provider()
        found.first.enrol(STORE)
        found.first.new_epoch(1)
        yield found
        found.close()

    return service


aws, azure, gcp, hsm, transit = map(made, (AwsService, AzureService, GcpService, HsmService, VaultService))
needs_hsm = pytest.mark.skipif(not softhsm_ready(), reason="needs softhsm2")


def test_vault_refuses_another_token_and_takes_a_renewed_one(transit):
    """The file is read for every request, so an agent may renew it."""
    blob = transit.first.wrap(1, KEY, AAD)
    transit.token_file.write_text("hvs.another")
    with pytest.raises(SetupError, match="policy"):
        transit.first.unwrap(1, blob, AAD)
    transit.token_file.write_text(fake_vault.TOKEN)
    assert transit.first.unwrap(1, blob, AAD) == KEY


@pytest.mark.parametrize("mood", [fake_vault.LIMITED, fake_vault.SEALED, "cut"])
def test_vault_limited_sealed_or_gone_is_unavailable(transit, mood):
    """429, 503 and a connection that closes without a word."""
    with transit.fake.moody(mood), pytest.raises(Unavailable) as refusal:
        transit.first.wrap(1, KEY, AAD)
    assert fake_vault.TOKEN not in str(refusal.value) + refusal.value.reason


def test_vault_keys_are_made_for_this_only(transit):
    """Neither exportable nor deletable by accident; the deletion leaves the floor's name only."""
    name = f"medlock-{STORE.hex()}-1"
    assert transit.fake.keys[name]["deletion_allowed"] is False
    transit.first.new_epoch(2)
    transit.first.destroy_epoch(1)
    assert sorted(transit.fake.keys) == [f"medlock-{STORE.hex()}-2", f"medlock-{STORE.hex()}-destroyed-1"]
    transit.first.new_epoch(3)
    transit.first.destroy_epoch(2)
    assert sorted(transit.fake.keys) == [f"medlock-{STORE.hex()}-3", f"medlock-{STORE.hex()}-destroyed-2"]


def test_vault_does_not_open_what_another_key_sealed(transit):
    """The fake's own check: a blob of the neighbour's key."""
    transit.first.new_epoch(2)
    sealed = transit.first.wrap(2, KEY, AAD)[CHECK_BYTES:]
    adapter = transit.adapter()
    adapter.reach(STORE.hex())
    with pytest.raises(Tampered):
        adapter.open(1, sealed, transit.first._bound(2, AAD))


def test_vault_at_an_engine_that_is_not_there(transit):
    """404 is the operator's to mend."""
    kind = type(transit.adapter())
    lost = kind(f"http://127.0.0.1:{transit.fake.port}/elsewhere", transit.token_file, transit.judge)
    lost.reach(STORE.hex())
    with pytest.raises(SetupError):
        lost.make(1)


def test_azure_refuses_another_identity(azure):
    """403, also for what would be destroyed."""
    other = azure.adapter("a-token-of-another")
    other.reach(STORE.hex())
    for call in (other.floor, lambda: other.make(2), lambda: other.destroy(1)):
        with pytest.raises(SetupError, match="identity"):
            call()


@pytest.mark.parametrize("mood", [fake_azure.LIMITED, fake_azure.DOWN, "cut"])
def test_azure_limited_or_down_is_unavailable(azure, mood):
    """Told at once: the library is not left to wait as long as the service asks."""
    with azure.fake.moody(mood), pytest.raises(Unavailable) as refusal:
        azure.first.wrap(1, KEY, AAD)
    assert fake_azure.TOKEN not in str(refusal.value) + refusal.value.reason


def test_azure_a_key_wrapped_with_the_public_half_is_found(azure):
    """Who knows the public key of an epoch can wrap, but not sign: a key of a thief's choice does not come in."""
    secret = azure.fake.keys[f"medlock-{STORE.hex()}-1"]["secret"]
    assert isinstance(secret, rsa.RSAPrivateKey)
    wrapped = secret.public_key().encrypt(bytes(32), fake_azure.OAEP)
    signature = azure.first.wrap(1, KEY, AAD)[CHECK_BYTES : CHECK_BYTES + 64]
    for forged in (signature + wrapped, bytes(64) + wrapped):
        with pytest.raises(Tampered) as refusal:
            azure.first.unwrap(1, _check(forged) + forged, AAD)
        assert "signature" in refusal.value.reason


def test_azure_goes_on_where_purging_is_forbidden(azure):
    """The key is deleted and its epoch refused; that it can be brought back is in the attestation."""
    azure.fake.may_purge = False
    blob = azure.first.wrap(1, KEY, AAD)
    azure.first.destroy_epoch(1)
    assert list(azure.fake.deleted) == [f"medlock-{STORE.hex()}-1"]
    with pytest.raises(EpochDestroyed):
        azure.first.unwrap(1, blob, AAD)
    assert any("purge" in reason for reason in azure.first.attest().reasons)
    azure.first.new_epoch(2)
    azure.fake.may_purge = True
    azure.first.destroy_epoch(2)
    assert list(azure.fake.deleted) == [f"medlock-{STORE.hex()}-1"]


def test_azure_keys_do_one_thing_each(azure):
    """The epoch's key does not sign, the register does not wrap."""
    operations = {name.rpartition("-")[2]: key["ops"] for name, key in azure.fake.keys.items()}
    assert operations == {"1": ["wrapKey", "unwrapKey"], "register": ["sign", "verify"]}


@pytest.mark.parametrize("mood", [StatusCode.PERMISSION_DENIED, StatusCode.UNAUTHENTICATED])
def test_google_refuses_another_account(gcp, mood):
    """What the account may not do is the operator's to mend."""
    with gcp.fake.moody(mood), pytest.raises(SetupError, match="rights"):
        gcp.first.wrap(1, KEY, AAD)


@pytest.mark.parametrize(
    "mood",
    [StatusCode.UNAVAILABLE, StatusCode.RESOURCE_EXHAUSTED, StatusCode.DEADLINE_EXCEEDED, StatusCode.INTERNAL],
)
def test_google_limited_or_down_is_unavailable(gcp, mood):
    """Whatever may pass by itself."""
    with gcp.fake.moody(mood), pytest.raises(Unavailable) as refusal:
        gcp.first.wrap(1, KEY, AAD)
    assert isinstance(refusal.value.__cause__, GoogleAPIError)


def test_google_destroys_after_the_least_time(gcp):
    """24 hours, set when the key is made; the version is scheduled, not forgotten."""
    key = gcp.fake.keys[next(name for name in gcp.fake.keys if name.endswith("-1"))]
    assert key.destroy_scheduled_duration.total_seconds() == 24 * 3600
    gcp.first.destroy_epoch(1)
    assert key.primary.state.name == "DESTROY_SCHEDULED"
    gcp.first.destroy_epoch(1)


def test_google_in_another_ring(gcp):
    """NOT_FOUND is the operator's to mend."""
    kind = type(gcp.adapter())
    lost = kind("projects/clinic/locations/europe/keyRings/other", None, gcp.judge, gcp.fake.transport)
    lost.reach(STORE.hex())
    for call in (lost.prepare, lost.floor):
        with pytest.raises(SetupError, match="MEDLOCK_KEY_SERVICE"):
            call()


def test_aws_deletion_is_scheduled_for_the_least_time(aws):
    """Seven days. Whether AWS then refuses is not asked of moto, which does not."""
    alias = f"alias/medlock/{STORE.hex()}/1"
    aws.first.destroy_epoch(1)
    found = aws.client.describe_key(KeyId=alias)["KeyMetadata"]
    assert found["KeyState"] == "PendingDeletion"
    aws.first.destroy_epoch(1)
    assert any("7 days" in reason for reason in aws.first.attest().reasons)


def test_aws_the_credential_in_use_is_judged(aws, monkeypatch):
    """To AWS's library a variable goes before the file that is named, and may come from a file on the data's disk."""
    judged = []

    def judge(credential):
        judged.append(credential)
        return True, ()

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    service = type(aws.adapter())(REGION, aws.file, judge)
    service.reach(STORE.hex())
    service.lodging()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOTHER")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "other")
    service.reach(STORE.hex())
    service.lodging()
    assert judged == [Credential(path=aws.file), Credential()]


def test_aws_the_encryption_context_is_bound(aws):
    """AWS itself refuses another context, not only our check before it."""
    import base64  # noqa: PLC0415

    sealed = aws.first.wrap(1, KEY, AAD)[CHECK_BYTES:]
    alias = f"alias/medlock/{STORE.hex()}/1"
    right = {"medlock": base64.b64encode(aws.first._bound(1, AAD)).decode()}
    assert aws.client.decrypt(KeyId=alias, CiphertextBlob=sealed, EncryptionContext=right)["Plaintext"] == KEY
    with pytest.raises(aws.client.exceptions.InvalidCiphertextException):
        aws.client.decrypt(KeyId=alias, CiphertextBlob=sealed, EncryptionContext={"medlock": "AAAA"})


def test_aws_two_that_make_an_epoch_at_once_share_one_key(aws, monkeypatch):
    """Who comes second drops its own key and takes the first's."""
    late = aws.adapter()
    late.reach(STORE.hex())
    seen = iter([None])
    described = late._described
    monkeypatch.setattr(late, "_described", lambda what: next(seen, described(what)))
    blob = aws.first.wrap(1, KEY, AAD)
    late.make(1)
    assert aws.first.unwrap(1, blob, AAD) == KEY
    states = [
        aws.client.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] for key in aws.client.list_keys()["Keys"]
    ]
    assert sorted(states) == ["Enabled", "Enabled", "PendingDeletion"]


def test_aws_a_disabled_key_is_told(aws):
    """Not damage: the operator enables it again."""
    alias = f"alias/medlock/{STORE.hex()}/1"
    key = aws.client.describe_key(KeyId=alias)["KeyMetadata"]["KeyId"]
    blob = aws.first.wrap(1, KEY, AAD)
    aws.client.disable_key(KeyId=key)
    with pytest.raises(SetupError, match="Enable"):
        aws.first.unwrap(1, blob, AAD)
    aws.client.enable_key(KeyId=key)
    assert aws.first.unwrap(1, blob, AAD) == KEY


@needs_hsm
def test_the_hsm_refuses_another_pin(hsm):
    """Said as such, since tokens lock themselves."""
    hsm.pin_file.write_text("999999")
    with pytest.raises(SetupError, match="PIN"):
        hsm.first.wrap(1, KEY, AAD)


@needs_hsm
def test_the_hsm_never_gives_a_key_out(hsm):
    """Sensitive, never extractable, not wrappable, for one use."""
    token = pkcs11.lib(SOFTHSM).get_token(token_label=hsm.label)
    with token.open(user_pin=hsm.pin_file.read_text().strip()) as session:
        (key,) = session.get_objects({pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY})
        assert key[pkcs11.Attribute.NEVER_EXTRACTABLE]
        assert key[pkcs11.Attribute.ALWAYS_SENSITIVE]
        assert not key[pkcs11.Attribute.WRAP]
        with pytest.raises(pkcs11.AttributeSensitive):
            key[pkcs11.Attribute.VALUE]


@needs_hsm
def test_a_software_token_is_not_called_safe(hsm):
    """Its keys are files; a device is another matter."""
    attestation = hsm.first.attest()
    assert not attestation.breach_safe
    assert re.search("SoftHSM", attestation.place)


@needs_hsm
def test_a_token_that_was_pulled_is_unavailable(hsm):
    """It may be plugged in again."""
    with hsm.broken(pkcs11.TokenNotPresent()), pytest.raises(Unavailable):
        hsm.first.wrap(1, KEY, AAD)
