"""Transport, origins and limits over HTTPS: rows D-23, D-24, T-16, T-17, O-11, L-01, L-02 and L-05."""

import json
import socket
import ssl

import pytest

from web.running import Server, medlock, new_token

OURS, OTHERS = "https://app.example.org", "https://evil.example"
LIMITS = "all=off token=5/h login=4/h introspection=3/h registration=2/d"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A server with a public app, and limits that are soon reached."""
    directory = tmp_path_factory.mktemp("transport") / "data"
    done = medlock(
        directory,
        "client",
        "register",
        "App",
        "--id",
        "app",
        "--redirect",
        f"{OURS}/back",
        "--scope",
        "patient/*.rs",
        "--json",
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["client_id"] == "app"  # L-02
    server = Server(directory, more={"MEDLOCK_RATES": LIMITS})
    yield server
    assert server.stop() == (0, "")


def told(answer):
    """Whose scripts may read it."""
    assert "access-control-allow-credentials" not in answer.headers
    return answer.headers.get("access-control-allow-origin")


def form(client="app"):
    """A request for a token that cannot be given."""
    return {
        "grant_type": "authorization_code",
        "client_id": client,
        "code": "x",
        "redirect_uri": "x",
        "code_verifier": "x" * 43,
    }


def test_d_23_d_24(site):
    """D-23, D-24: discovery and metadata may be read from anywhere."""
    with site.client() as http:
        for path in (".well-known/smart-configuration", "metadata"):
            for origin in (OURS, OTHERS):
                answer = http.get(path, headers={"origin": origin, "accept": "application/json"})
                assert (answer.status_code, told(answer)) == (200, "*")


def test_t_16_t_17(site):
    """T-16, T-17: the token endpoint tells a registered origin, and no other, that it may read."""
    with site.client() as http:
        url = site.ready["url"] + "/oauth/token"
        assert told(http.post(url, data=form("t16"), headers={"origin": OURS})) == OURS
        assert told(http.post(url, data=form("t17"), headers={"origin": OTHERS})) is None


def test_o_11(site):
    """O-11: so does the resource that fhirUser names."""
    token, _ = new_token(site.directory)
    with site.client(token) as http:
        assert http.put("Practitioner/me", json={"resourceType": "Practitioner", "id": "me"}).status_code == 201
        assert told(http.get("Practitioner/me", headers={"origin": OURS})) == OURS
        assert told(http.get("Practitioner/me", headers={"origin": OTHERS})) is None


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_l_01(site, version):
    """L-01: one socket serves every address, and no handshake before TLS 1.2 ends well there; 1.2 and 1.3 do."""
    port = int(site.ready["url"].rpartition(":")[2])
    old = ssl.create_default_context(cafile=site.ready["ca"])
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = old.maximum_version = version
    with socket.create_connection(("127.0.0.1", port)) as plain, pytest.raises((ssl.SSLError, OSError)):
        old.wrap_socket(plain, server_hostname="localhost")
    for good in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        new = ssl.create_default_context(cafile=site.ready["ca"])
        new.minimum_version = new.maximum_version = good
        with new.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost") as secured:
            assert secured.version() == {ssl.TLSVersion.TLSv1_2: "TLSv1.2"}.get(good, "TLSv1.3")


@pytest.mark.parametrize(
    ("path", "data", "allowed"),
    [
        ("/oauth/token", form("l05"), 5),
        ("/oauth/introspect", {"client_id": "l05", "token": "x"}, 3),
        ("/oauth/register", None, 2),
    ],
)
def test_l_05_clients(site, path, data, allowed):
    """L-05: 429 with Retry-After in OAuth's form at token, introspection and registration; another client goes on."""
    with site.client() as http:

        def ask(client):
            if data is None:
                return http.post(site.ready["url"] + path, json={"client_name": "x", "redirect_uris": [f"{OURS}/x"]})
            return http.post(site.ready["url"] + path, data=data | {"client_id": client})

        statuses = [ask("l05").status_code for _ in range(allowed + 3)]
        assert 429 not in statuses[:allowed]
        assert statuses[allowed:] == [429] * 3
        refused = ask("l05")
        assert refused.json()["error"] == "temporarily_unavailable"
        assert int(refused.headers["retry-after"]) > 0
        assert refused.headers["ratelimit"].startswith('"')
        if data is not None:
            assert ask("another").status_code != 429


def test_l_05_sign_in(site):
    """L-05: where secrets are tried, an address is told to wait, on a page; other addresses of the server go on."""
    with site.client(follow_redirects=False) as http:
        sent = {"login": "nobody@example.org", "csrf": "x"}
        statuses = [http.post(site.ready["url"] + "/sign-in", data=sent).status_code for _ in range(7)]
        assert statuses[4:] == [429] * 3
        assert 429 not in statuses[:4]
        refused = http.post(site.ready["url"] + "/sign-in", data=sent)
        assert refused.headers["content-type"].startswith("text/html")
        assert int(refused.headers["retry-after"]) > 0
        assert http.get(site.ready["url"] + "/healthz").status_code == 200
        assert http.get(site.ready["url"] + "/sign-in").status_code == 200
