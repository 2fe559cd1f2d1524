"""The vectors of docs/spec/keystore.md, read by medlock and by the naive implementation."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path

import pytest

from keystore import make_vectors, naive
from medlock.crypto.aead import Aead
from medlock.crypto.kdf import derive
from medlock.crypto.setdigest import EMPTY
from medlock.errors import SetupError, Tampered
from medlock.store.epochs import epoch_aad, row_aad
from medlock.store.kek.secretfile import SecretFile
from medlock.store.kek.split import check_value, epoch_key
from medlock.store.keyring import TenantKeys
from medlock.store.keystate import open_state
from medlock.store.keystore import Keystore

H = bytes.fromhex
SPEC = Path(__file__).parents[2] / "docs/spec/keystore.md"
MARK = {"rows": "key", "epochs": "kek", "state": "state", "secrets": "secret", "files": "opens"}  # what opens
SOURCE = Path(__file__).parents[2] / "src/medlock/store/keyring.py"


def vectors(name):
    """One vector file, each case named for the test report."""
    cases = json.loads((make_vectors.VECTORS / f"{name}.json").read_text(encoding="utf-8"))
    return [pytest.param(case, id=case.get("name") or case["label"]) for case in cases]


@pytest.mark.parametrize("name", make_vectors.FILES)
def test_vector_files_are_current(name):
    """They are what the naive implementation makes of the fixed inputs."""
    text = (make_vectors.VECTORS / f"{name}.json").read_text(encoding="utf-8")
    assert text == make_vectors.written(make_vectors.FILES[name]())


@pytest.mark.parametrize("name", MARK)
def test_most_vectors_must_fail(name):
    """A format is known by what it refuses."""
    good = [case for (case,) in (param.values for param in vectors(name)) if MARK[name] in case]
    assert 0 < len(good) * 3 < len(vectors(name))


@pytest.mark.parametrize("case", vectors("derived"))
def test_derived_keys(case):
    """Every label gives the same key in both implementations."""
    assert derive(H(case["key"]), case["label"]).hex() == case["derived"]
    assert naive.derive(H(case["key"]), case["label"]).hex() == case["derived"]


def test_every_label_is_in_vectors_and_specification():
    """The labels in the code, in the vectors and on the page are the same, and none is used twice."""
    source = SOURCE.read_text(encoding="utf-8")
    used = re.findall(r'"(medlock/1/(?:patient|tenant)/[a-z-]+)"', source)
    used += [f"medlock/1/patient/{use}" for use in re.findall(r'_sub\("([a-z]+)"\)', source)]
    known = [case["label"] for (case,) in (param.values for param in vectors("derived"))]
    assert sorted(used) == sorted(known)
    assert len(set(used)) == len(used)
    page = SPEC.read_text(encoding="utf-8")
    assert all(label in page or f"…/{label.rsplit('/', 1)[1]}" in page for label in known)


@pytest.mark.parametrize("case", vectors("rows"))
def test_key_rows(case):
    """§4.1: a row opens in its own place only."""
    place = (H(case["store"]), case["slot"], case["generation"], case["epoch"])
    if "key" in case:
        assert Aead(H(case["kek"])).open(H(case["wrapped"]), row_aad(*place)).hex() == case["key"]
        assert naive.unseal(H(case["kek"]), H(case["wrapped"]), naive.row_aad(*place)).hex() == case["key"]
        return
    with pytest.raises(Tampered):
        Aead(H(case["kek"])).open(H(case["wrapped"]), row_aad(*place))
    with pytest.raises(naive.Refused):
        naive.unseal(H(case["kek"]), H(case["wrapped"]), naive.row_aad(*place))


@pytest.mark.parametrize("case", vectors("epochs"))
def test_epoch_keys(case):
    """§4.2 and §7.1: an epoch key opens with its root, its secret and its own row only."""
    root, secret, under = H(case["root"]), H(case["secret"]), case["under"]
    place = (H(case["store"]), case["number"], under, case["made"])
    wrapped = H(case["wrapped"])
    if "kek" in case:
        assert epoch_key(root, secret, under).open(wrapped, epoch_aad(*place)).hex() == case["kek"]
        key = naive.provider_key(root, secret, under)
        assert naive.unseal(key, wrapped, naive.epoch_aad(*place)).hex() == case["kek"]
        assert check_value(root, secret) == naive.check_value(root, secret) == H(case["check"])
        return
    with pytest.raises(Tampered):
        epoch_key(root, secret, under).open(wrapped, epoch_aad(*place))
    with pytest.raises(naive.Refused):
        naive.unseal(naive.provider_key(root, secret, under), wrapped, naive.epoch_aad(*place))


@pytest.mark.parametrize("case", vectors("state"))
def test_state_rows(case):
    """§4.3: the state opens under its tenant and store, in the one layout there is."""
    tenant, store, sealed = H(case["tenant"]), H(case["store"]), H(case["sealed"])
    keys = TenantKeys(tenant)
    if "state" not in case:
        with pytest.raises(Tampered):
            open_state(sealed, keys.keystore_state, store)
        with pytest.raises(naive.Refused):
            naive.open_state(tenant, store, sealed)
        return
    opened = open_state(sealed, keys.keystore_state, store)
    fields = {name: getattr(opened, name) for name in ("revision", "erasures", "keys", "log_size")}
    fields |= {"digest": opened.digest.hex(), "log_root": opened.log_root.hex()}
    assert fields == naive.open_state(tenant, store, sealed) == case["state"]
    assert keys.keystore_rows.toggle(EMPTY, [H(tag) for tag in case["tags"]]) == opened.digest


@pytest.mark.parametrize("case", vectors("secrets"))
def test_secrets_files(case, tmp_path):
    """§7.3: what is damaged, foreign, newer or destroyed is refused with a sentence."""
    store = make_vectors.STORE
    path = tmp_path / "passphrase.kek"
    path.write_bytes(case["content"].replace("STORE", store.hex()).encode())
    if "refusal" not in case:
        (entry,) = SecretFile(path, store).get(case["epoch"])
        assert entry.secret == case["secret"]
        return
    with pytest.raises(SetupError, match=re.escape(case["refusal"])):
        SecretFile(path, store).get(case["epoch"])


@pytest.mark.parametrize("case", vectors("files"))
def test_keystore_files(case, world):
    """§2: after one statement of damage the program says what is wrong and what to do."""
    world.create().close()
    connection = sqlite3.connect(world.path)
    with connection:
        connection.execute(case["sql"])
    connection.close()
    if "opens" in case:
        Keystore.open(world.path, world.provider()).close()
        return
    with pytest.raises(SetupError, match=re.escape(case["refusal"])):
        Keystore.open(world.path, world.provider())


def test_the_example_on_the_page_is_right():
    """§12: the page's bytes open to the page's key."""
    block = SPEC.read_text(encoding="utf-8").split("## 12 Example")[1].split("## 13")[0]
    aad, *wrapped, body_key = (H(text) for text in re.findall(r"\b[0-9a-f]{24,}\b", block.split("`:\n\n")[1]))
    assert naive.unseal(make_vectors.EPOCH_KEY, b"".join(wrapped), aad) == make_vectors.PATIENT_KEY
    assert derive(make_vectors.PATIENT_KEY, "medlock/1/patient/body") == body_key
