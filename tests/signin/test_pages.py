"""What holds for every page: policy, markup, labels, escaping. A page that is added to the walk is held to it as well."""

import asyncio
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from medlock.web.signin.ports import NoticeView
from medlock.web.signin.static import shelf
from signin.small_desks import NOW, Holdings, Passkey, World
from signin.small_site import Browser, site
from signin.walking import every_page

VOID = {"meta", "link", "input", "br", "path"}
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
    "require-trusted-types-for": "'script'",
    "trusted-types": "'none'",
}


class Seen(HTMLParser):
    """Elements of a document in order, each with its attributes, and whether tags close as they open."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.faults, self.text = [], [], [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)

    def handle_data(self, data):
        self.text += data

    def all(self, *tags):
        return [attrs for tag, attrs in self.elements if tag in tags]


@pytest.fixture(scope="module")
def pages():
    """Every page, once."""

    async def walk():
        return [
            (name, answer)
            async for name, answer in every_page()
            if "text/html" in answer.headers.get("content-type", "")
        ]

    return asyncio.run(walk())


def test_the_walk_saw_all_templates(pages):
    """No page is left out: every template but the frame and its parts was rendered."""
    titles = {re.search(r"<title>(.*?) · medlock</title>", answer.text, re.DOTALL)[1].strip() for _, answer in pages}
    assert len(pages) > 50
    assert len({title.removeprefix("Error: ") for title in titles}) >= 17


def test_policy_and_caching(pages):
    """Nothing inline, nothing foreign, no frame, no store: on every page, refusals included."""
    for name, answer in pages:
        policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
        targets = policy.pop("form-action").split()
        assert policy == POLICY, name
        assert targets in (["'self'"], ["'self'", "https://app.example:4443"]), name
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["strict-transport-security"]
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"


def test_markup(pages):
    """Documents are whole: language, one title, one h1, tags that close, ids once, nothing inline, only our addresses."""
    for name, answer in pages:
        seen = Seen(answer.text)
        assert not seen.faults, (name, seen.faults)
        assert not seen.open, (name, seen.open)
        assert seen.all("html")[0]["lang"] == "en"
        assert len(seen.all("h1")) == 1, name
        ids = [attrs["id"] for _, attrs in seen.elements if "id" in attrs]
        assert len(ids) == len(set(ids)), name
        for tag, attrs in seen.elements:
            assert not any(key.startswith("on") or key == "style" for key in attrs), (name, tag, attrs)
            for key in ("href", "src", "action"):
                value = attrs.get(key)
                assert value is None or (value.startswith(("/", "#")) and not value.startswith("//")), (name, value)
        assert all("src" in attrs for attrs in seen.all("script")), name
        levels = [int(tag[1]) for tag, _ in seen.elements if tag in {"h1", "h2", "h3"}]
        assert all(later - earlier <= 1 for earlier, later in pairwise(levels)), name


def test_fields_have_labels_and_forms_have_tokens(pages):
    """Every field that shows has a label; every form that is sent has the session's token; ids that are named exist."""
    for name, answer in pages:
        seen = Seen(answer.text)
        ids = {attrs["id"] for _, attrs in seen.elements if "id" in attrs}
        labelled = {attrs.get("for") for attrs in seen.all("label")}
        for attrs in seen.all("input", "select"):
            quiet = attrs.get("type") in {"hidden", "checkbox", "radio"} or attrs.get("aria-hidden") == "true"
            assert quiet or attrs["id"] in labelled, (name, attrs)
            assert set((attrs.get("aria-describedby") or "").split()) <= ids, (name, attrs)
        assert answer.text.count('method="post"') == answer.text.count('name="csrf"'), name
        assert 'name="csrf" value=""' not in answer.text, name
        for link in re.findall(r'href="#([^"]+)"', answer.text):
            assert link in ids, (name, link)


def test_a_wrong_form_says_so_first(pages):
    """After a wrong entry the title says so, a summary takes the focus, and the field is marked."""
    wrong = [(name, answer) for name, answer in pages if 'role="alert"' in answer.text]
    assert len(wrong) >= 9
    for name, answer in wrong:
        assert answer.status_code in {400, 401, 409, 422}, name
        assert "<title>Error: " in answer.text
        assert re.search(r'role="alert" tabindex="-1" autofocus', answer.text)


async def test_names_are_text():
    """What people call things is shown as they wrote it, never as markup."""
    world, nasty = World(), "<script>alert(1)</script>\"'"
    world.held = Holdings((Passkey("k1", nasty, 0, 0, synced=False),), recovery_left=1, settled=True)
    browser = Browser(site(world))
    await browser.sign_in()
    for path in ("/account", "/account/passkeys/k1/name", "/account/passkeys/k1/remove"):
        page = (await browser.get(path)).text
        assert nasty not in page
        assert "&lt;script&gt;alert(1)" in page


async def test_a_patient_is_told_of_emergencies():
    """Who opened their record, when and why, as it was typed; nothing is said where nobody did."""
    world = World()
    browser = Browser(site(world))
    await browser.sign_in()
    assert "emergency" not in (await browser.get("/account")).text
    world.notices = [NoticeView(NOW, "Dr Nwosu", ("clinician",), "Unconscious <in the ER>")]
    page = (await browser.get("/account")).text
    assert "Opened in an emergency" in page
    assert "Dr Nwosu" in page
    assert "Unconscious &lt;in the ER&gt;" in page
    assert "30 Nov 2026" in page


async def test_static_files_are_hashed_and_kept():
    """A file's address holds its hash and is kept for a year; modules import by these addresses; others are 404."""
    browser = Browser(site(World()))
    for name in ("pages.css", "sign-in.js", "mark.svg"):
        answer = await browser.get(shelf().address(name))
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.status_code == 200
    module = await browser.get(shelf().address("sign-in.js"))
    imported = re.findall(r'from "\./([^"]+)"', module.text)
    assert len(imported) == 2
    for each in imported:
        assert (await browser.get(f"/static/{each}")).headers["content-type"].startswith("text/javascript")
    for other in ("/static/pages.css", "/static/..%2F__init__.py", "/static/x"):
        assert (await browser.get(other)).status_code == 404


async def test_scripts_use_no_sink():
    """Our scripts write no markup and evaluate no text; Trusted Types would stop them, but none even tries."""
    for name in ("passkeys.js", "asking.js", "sign-in.js", "enrol.js", "signals.js", "reveal.js"):
        source = shelf().find(shelf().address(name).rpartition("/")[2]).body.decode()
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|new Function|localStorage", source
        )
