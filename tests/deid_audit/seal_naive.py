"""A second reader of seals, after docs/spec/deid-report.md alone."""

from base64 import b64decode, b64encode
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

DIGITS, HEX = set("0123456789"), set("0123456789abcdef")


def read(note, signed_by):
    """The files of a seal as {name: [sha256, size]}, or None."""
    try:
        return _read(note.decode(), signed_by)
    except (ValueError, AssertionError, InvalidSignature):
        return None


def _read(note, signed_by):
    name, _, rest = signed_by.partition("+")
    key = b64decode(rest.partition("+")[2])[1:]
    key_id = sha256(name.encode() + b"\n\x01" + key).digest()[:4]
    assert all(letter == "\n" or ord(letter) >= 32 for letter in note)
    text, tail = note.rsplit("\n\n", 1)
    text += "\n"
    assert tail.endswith("\n")
    valid = 0
    for line in tail[:-1].split("\n"):
        dash, who, code = line.split(" ")
        raw = b64decode(code, validate=True)
        assert dash == "\N{EM DASH}"
        assert b64encode(raw).decode() == code
        assert len(raw) > 4
        if who == name and raw[:4] == key_id:
            Ed25519PublicKey.from_public_bytes(key).verify(raw[4:], text.encode())
            valid += 1
    assert valid
    head, *lines = text[:-1].split("\n")
    assert head == "medlock deid report 1"
    files = {}
    for line in lines:
        digest, size, path = line.split(" ", 2)
        assert len(digest) == 64
        assert set(digest) <= HEX
        assert size
        assert set(size) <= DIGITS
        assert size == str(int(size))
        assert path.startswith(("report/", "release/"))
        assert path.partition("/")[2]
        assert path not in files
        files[path] = [digest, int(size)]
    assert list(files) == sorted(files)
    return files
