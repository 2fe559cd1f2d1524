"""No secret is kept readable or written down: not in rows, not in events, not in private reasons, not in representations."""

import base64

from medlock.crypto.jose import new_signer
from medlock.oauth.client import Kind
from medlock.oauth.launching import LaunchRequest
from smart.test_dpop import proof
from smart.world import DOC, VERIFIER

SCOPE = "launch openid offline_access user/Observation.rs"


async def test_no_secret_anywhere(world):
    """Every secret of every flow, right ones and wrong ones, is looked for in all rows and everything that was told."""
    signer = new_signer("ES384")
    symmetric = await world.register(Kind.SYMMETRIC, launch_url="https://app.example.org/launch")
    backend = await world.backend_app(signer)
    secrets = [symmetric.secret, VERIFIER, await world.desk.joining.invite("test", 1, 60)]
    address = await world.server.launching.begin(DOC.id, LaunchRequest(symmetric.id, "ann"))
    secrets.append(address.rpartition("launch=")[2])
    more = {"launch": secrets[-1], "nonce": "nonce-of-the-app", "state": "state-of-the-app"}
    asked = await world.begin(symmetric, SCOPE, DOC, **more)
    secrets.append(asked.handle)
    chosen = tuple(line.scope for line in asked.view.lines)
    decided = await world.server.authorize.decide(asked.handle, world.session(DOC), chosen)
    code = decided.address.partition("code=")[2].partition("&")[0]
    got = (await world.redeem(symmetric, code)).json()
    secrets += [code, got["access_token"], got["refresh_token"], got["id_token"]]
    again = (await world.refresh(symmetric, got["refresh_token"])).json()
    secrets += [again["access_token"], again["refresh_token"]]
    fields, _ = backend.credentials(world)
    form = {"grant_type": "client_credentials", "scope": "system/*.rs"} | fields
    sent = proof(world)
    secrets += [fields["client_assertion"], sent]
    secrets.append((await world.post("/oauth/token", form, {"dpop": sent})).json()["access_token"])
    await wrong(world, symmetric, secrets)
    told = repr(world.log.events) + repr(world.api._watch.reasons) + repr(decided)
    rows = b"".join(row for table in world.disk.rows.values() for row in table.values())
    for secret in filter(None, secrets):
        for part in (secret, *(piece for piece in secret.split(".") if len(piece) > 20)):
            assert part not in told
            assert part.encode() not in rows


async def wrong(world, app, secrets):
    """The same secrets where they do not belong: refusals are written down, too."""
    for secret in list(secrets):
        basic = base64.b64encode(f"{app.id}:{secret}x".encode()).decode()
        await world.post("/oauth/token", {"grant_type": "refresh_token", "refresh_token": secret, "client_id": "x"})
        await world.post("/oauth/token", {"client_assertion": secret, "client_assertion_type": secret})
        await world.post("/oauth/token", {"grant_type": "x"}, {"authorization": f"Basic {basic}"})
        await world.post("/oauth/introspect", {"token": secret}, {"authorization": f"Bearer {secret}x"})
        await world.post("/oauth/revoke", {"token": secret, "client_id": app.id, "client_secret": secret})
        async with world.http() as http:
            await http.post("/oauth/register", json={}, headers={"authorization": f"Bearer {secret}"})
            await http.get("/oauth/userinfo", headers={"authorization": f"Bearer {secret}"})
    assert world.api._watch.reasons
