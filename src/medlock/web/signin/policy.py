"""Headers of pages: what a browser may do with them (CSP Level 3, Trusted Types, ASVS 5.0 V3.4).

A page loads styles, scripts and pictures of its own origin and nothing else; there is no inline script or style, no
eval, and no string ever becomes markup: `require-trusted-types-for 'script'` without a single policy. Nobody may frame
it. A form goes to ourselves. Only the page on which an app is allowed something sends the browser on to that app after
a form, so it names that app's origin too, because Chromium holds `form-action` against redirects as well.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from medlock.web.headers import security_headers

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action {targets}; frame-ancestors 'none'; base-uri 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_PERMISSIONS = (
    "camera=(), geolocation=(), microphone=(), payment=(), usb=(), "
    "publickey-credentials-get=(self), publickey-credentials-create=(self)"
)
# not "cookies": the device stays known, so that whoever guesses elsewhere does not hold its owner up
CLEAR_SITE_DATA = '"cache", "storage"'


def page_headers(*, tls: bool, target: str = "") -> dict[str, str]:
    """Headers of a page whose form may end at `target`, the address of an app, beside ourselves."""
    common = {name.decode(): value.decode() for name, value in security_headers(tls=tls)}
    source = _source(target)
    return common | {
        "content-security-policy": _POLICY.format(targets=f"'self' {source}" if source else "'self'"),
        "permissions-policy": _PERMISSIONS,
        "referrer-policy": "same-origin",
    }


def static_headers(*, tls: bool) -> dict[str, str]:
    """Headers of a file whose address holds its hash."""
    common = {name.decode(): value.decode() for name, value in security_headers(tls=tls)}
    return common | {"cache-control": "public, max-age=31536000, immutable"}


def _source(address: str) -> str:
    """An address as a source expression: scheme, host and port, or the scheme alone where it has no host."""
    parts = urlsplit(address)
    if parts.scheme in {"http", "https"}:
        return f"{parts.scheme}://{parts.netloc}"
    return f"{parts.scheme}:" if parts.scheme else ""
