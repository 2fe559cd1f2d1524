"""Writes tests/vectors/oauth/jose.json: run by hand when docs/spec/oauth.md §7 changes. Keys are new each time."""

import json
from pathlib import Path

from medlock.crypto.jose import new_signer

NOW = 1_700_000_000
CLAIMS = {
    "iss": "backend",
    "sub": "backend",
    "aud": "https://localhost:8443/oauth/token",
    "exp": NOW + 300,
    "jti": "a1",
}
RFC_7638 = {
    "kty": "RSA",
    "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMst"
    "n64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbI"
    "SD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
    "e": "AQAB",
}
RFC_8037 = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}


def main():
    """Write the file."""
    ec, rsa, other = new_signer("ES384"), new_signer("RS384"), new_signer("ES384")
    both = ["ES384", "RS384"]
    cases = [
        ("es384", True, both, ec.sign(CLAIMS)),
        ("rs384", True, both, rsa.sign(CLAIMS)),
        ("an algorithm that is not asked for", False, ["RS384"], ec.sign(CLAIMS)),
        ("another key of the same name", False, both, other.sign(CLAIMS, {"kid": ec.kid})),
        ("a key of another kind", False, both, ec.sign(CLAIMS, {"kid": rsa.kid})),
        ("an unknown kid", False, both, ec.sign(CLAIMS, {"kid": "x"})),
        ("expired", False, both, ec.sign(CLAIMS | {"exp": NOW - 60})),
        ("too far ahead", False, both, ec.sign(CLAIMS | {"exp": NOW + 361})),
        ("no exp", False, both, ec.sign({name: value for name, value in CLAIMS.items() if name != "exp"})),
        ("another issuer", False, both, ec.sign(CLAIMS | {"iss": "x"})),
        ("another audience", False, both, ec.sign(CLAIMS | {"aud": "https://x"})),
        ("not yet", False, both, ec.sign(CLAIMS | {"nbf": NOW + 61})),
        ("issued later", False, both, ec.sign(CLAIMS | {"iat": NOW + 61})),
        ("cut short", False, both, ec.sign(CLAIMS)[:-4]),
    ]
    found = {
        "now": NOW,
        "thumbprints": [
            {"from": "RFC 7638 3.1", "jwk": RFC_7638, "thumbprint": "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"},
            {"from": "RFC 8037 A.3", "jwk": RFC_8037, "thumbprint": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"},
        ],
        "keys": {"keys": [ec.public(), rsa.public()]},
        "tokens": [
            {"name": name, "valid": valid, "algorithms": algs, "token": token} for name, valid, algs, token in cases
        ],
    }
    path = Path(__file__).parents[1] / "vectors/oauth/jose.json"
    path.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
