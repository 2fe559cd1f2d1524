"""The key services of the tests as the conformance suite wants them: what stays when a provider goes, and its outages."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import boto3
import pkcs11
import pytest
from grpc import StatusCode
from moto import mock_aws

from keystore import fake_azure, fake_vault
from keystore.fake_azure import FakeAzure, Identity, Redirected
from keystore.fake_gcp import RING, FakeGcp
from keystore.fake_vault import FakeVault
from medlock.store.kek.awskms import AwsKms
from medlock.store.kek.azurekeys import AzureKeyVault
from medlock.store.kek.credentials import Judge
from medlock.store.kek.gcpkms import GcpKms
from medlock.store.kek.pkcs11 import Pkcs11
from medlock.store.kek.service import EpochKeys
from medlock.store.kek.vault import VaultTransit

SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"
REGION = "eu-central-1"
PIN = "1234-for-tests"


def secret_file(root: Path, name: str, content: str) -> Path:
    """A credential in a file of its own."""
    path = root / name
    path.write_text(content + "\n")
    path.chmod(0o600)
    return path


class VaultService:
    """Vault, in the form of its fake."""

    def __init__(self, root: Path) -> None:
        self.fake = FakeVault()
        self.judge = Judge(root)
        self.token_file = secret_file(root, "token", fake_vault.TOKEN)

    def adapter(self):
        return VaultTransit(self.fake.address, self.token_file, self.judge)

    def provider(self):
        return EpochKeys(self.adapter())

    def outage(self):
        return self.fake.moody("cut")

    def limited(self):
        return self.fake.moody(fake_vault.LIMITED)

    def close(self):
        self.fake.close()


class AzureService:
    """Azure, in the form of its fake."""

    def __init__(self, root: Path) -> None:
        self.fake = FakeAzure()
        self.judge = Judge(root)

    def adapter(self, token: str = fake_azure.TOKEN):
        return AzureKeyVault(fake_azure.VAULT, None, self.judge, Identity(token), Redirected(self.fake.port))

    def provider(self):
        return EpochKeys(self.adapter())

    def outage(self):
        return self.fake.moody("cut")

    def limited(self):
        return self.fake.moody(fake_azure.LIMITED)

    def close(self):
        self.fake.close()


class GcpService:
    """Google, in the form of its fake."""

    def __init__(self, root: Path) -> None:
        self.fake = FakeGcp()
        self.judge = Judge(root)

    def adapter(self):
        return GcpKms(RING, None, self.judge, self.fake.transport)

    def provider(self):
        return EpochKeys(self.adapter())

    def outage(self):
        return self.fake.moody(StatusCode.UNAVAILABLE)

    def limited(self):
        return self.fake.moody(StatusCode.RESOURCE_EXHAUSTED)

    def close(self):
        self.fake.close()


class AwsService:
    """AWS, in the form of moto. It is not asked what becomes of a deleted key: moto goes on decrypting with it."""

    def __init__(self, root: Path) -> None:
        content = "[default]\naws_access_key_id = AKIATESTS\naws_secret_access_key = tests"
        self.file = secret_file(root, "aws", content)
        self.judge = Judge(root)
        self._moto = mock_aws()
        self._moto.start()
        self.client = boto3.client("kms", region_name=REGION, aws_access_key_id="a", aws_secret_access_key="b")

    def adapter(self):
        return AwsKms(REGION, self.file, self.judge)

    def provider(self):
        return EpochKeys(self.adapter())

    @contextmanager
    def failing(self, fault):
        """Every request of every client ends so, before it is sent."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("botocore.client.BaseClient._make_api_call", fault)
            yield

    def outage(self):
        from botocore.exceptions import EndpointConnectionError  # noqa: PLC0415

        def fault(*_args):
            raise EndpointConnectionError(endpoint_url="https://kms")

        return self.failing(fault)

    def limited(self):
        from botocore.exceptions import ClientError  # noqa: PLC0415

        def fault(_client, operation, _arguments):
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, operation)

        return self.failing(fault)

    def close(self):
        self._moto.stop()


class HsmService:
    """SoftHSM: a real PKCS#11 module, with faults put in at its border."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.judge = Judge(root)
        self.label = f"medlock-{os.urandom(4).hex()}"
        self.pin_file = secret_file(root, "pin", PIN)
        self.fault: Exception | None = None
        init = ["softhsm2-util", "--init-token", "--free", "--label", self.label, "--pin", PIN, "--so-pin", "5678"]
        subprocess.run(init, check=True, capture_output=True)

    def load(self, module):
        if self.fault is not None:
            raise self.fault
        library = pkcs11.lib(module)
        library.reinitialize()
        return library

    def adapter(self):
        uri = f"pkcs11:token={self.label}?module-path={SOFTHSM}"
        return Pkcs11(uri, self.pin_file, self.judge, self.load)

    def provider(self):
        return EpochKeys(self.adapter())

    @contextmanager
    def broken(self, fault):
        self.fault = fault
        try:
            yield
        finally:
            self.fault = None

    def outage(self):
        return self.broken(pkcs11.DeviceRemoved())

    def limited(self):
        return self.broken(pkcs11.SessionCount())

    def close(self):
        pass


def softhsm_ready() -> bool:
    """Whether the module is there; on CI it must be."""
    there = Path(SOFTHSM).exists() and shutil.which("softhsm2-util") is not None
    if not there and os.environ.get("CI"):
        raise RuntimeError("CI tests with SoftHSM: apt-get install softhsm2")
    return there


SERVICES = {"aws": AwsService, "azure": AzureService, "gcp": GcpService, "pkcs11": HsmService, "vault": VaultService}
