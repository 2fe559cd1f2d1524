"""A page that needs nothing but its sentence: refusals before a visit begins, and faults. Nobody is looked up."""

from __future__ import annotations

from html import escape

from medlock.web.signin.static import shelf

_PAGE = (
    '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    '<meta name="color-scheme" content="light dark">\n<title>This did not work</title>\n'
    '<link rel="stylesheet" href="{style}">\n</head>\n<body>\n<main class="frame"><div class="sheet flow">\n'
    '<h1>This did not work</h1>\n<p class="lead">{sentence}</p>\n'
    '<div class="more"><a href="/">To the first page</a></div>\n</div></main>\n</body>\n</html>\n'
)


def plain_page(sentence: str) -> str:
    """The whole document."""
    return _PAGE.format(style=escape(shelf().address("pages.css")), sentence=escape(sentence))
