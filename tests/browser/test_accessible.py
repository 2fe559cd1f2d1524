"""Every page, drawn by Chromium and examined by axe-core: no violation, no sideways scrolling, nothing blocked.

The pages are those of the walk, so a page that is added there is examined as well. MEDLOCK_THOROUGH=1 does it in both
colour schemes and both widths, for all states; by default each title once, in one scheme at one width, taking turns.
"""

import asyncio
import os
import re

from browser.chromium import chromium
from clients.node import modules
from medlock.web.signin.static import PREFIX, shelf
from signin.walking import every_page

BASE = "https://localhost:8443/"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
VARIANTS = [(320, "light"), (1280, "dark"), (1280, "light"), (320, "dark")]
THOROUGH = os.environ.get("MEDLOCK_THOROUGH") == "1"


def walked():
    """Pages by name; each title once unless all are wanted."""

    async def walk():
        return [
            (name, answer)
            async for name, answer in every_page()
            if "text/html" in answer.headers.get("content-type", "")
        ]

    found = asyncio.run(walk())
    if THOROUGH:
        return found
    return list(
        {
            re.search(r"<title>(.*?)</title>", answer.text, re.DOTALL)[1]: (name, answer) for name, answer in found
        }.values()
    )


def serve(page, answers):
    """Let a page of Chromium's get what the walk got, with the headers that came with it."""

    def fulfil(route):
        path = route.request.url.removeprefix(BASE)
        if path.startswith(PREFIX[1:]):
            file = shelf().find(path.removeprefix(PREFIX[1:]))
            return route.fulfill(status=200, body=file.body, content_type=file.media)
        if path.startswith("page/"):
            answer = answers[int(path.removeprefix("page/"))][1]
            kept = {
                name: value for name, value in answer.headers.items() if name not in {"set-cookie", "content-length"}
            }
            return route.fulfill(status=200, headers=kept, body=answer.content)
        return route.abort()

    page.route("**/*", fulfil)


def listen(page, faults):
    """Note what the browser blocks and what fails in a script."""

    def console(said):
        if "Content Security" in said.text:
            faults.append(("blocked", said.text))

    page.on("console", console)
    page.on("pageerror", lambda error: faults.append(("script", str(error))))


def test_every_page_is_accessible():
    """No rule of WCAG 2.2 AA or of good practice is broken; at 320 pixels nothing scrolls sideways; scripts run."""
    axe = (modules() / "axe-core/axe.min.js").read_text()
    answers, faults = walked(), []
    with chromium() as browser:
        for turn, (width, scheme) in enumerate(VARIANTS):
            context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
            page = context.new_page()
            listen(page, faults)
            serve(page, answers)
            for number, (name, _) in enumerate(answers):
                if THOROUGH or number % len(VARIANTS) == turn:
                    page.goto(f"{BASE}page/{number}")
                    page.evaluate(axe)
                    found = page.evaluate("tags => axe.run({runOnly: tags})", TAGS)
                    faults += [
                        (name, width, scheme, each["id"], [node["html"] for node in each["nodes"]])
                        for each in found["violations"]
                    ]
                    if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                        faults.append((name, width, "scrolls sideways"))
            page.evaluate("document.querySelector('main').append(document.createElement('img'))")
            planted = page.evaluate("axe.run({runOnly: ['wcag2a']})")["violations"]
            assert [each["id"] for each in planted] == ["image-alt"]  # it sees what there is to see
            context.close()
    assert len(answers) >= 20
    assert not faults, faults
