"""The page's own files: HTML, CSS and JavaScript modules, served one by one or bound into one file."""

from __future__ import annotations

import base64
import re
from hashlib import sha256
from importlib.resources import files

FOLDER = files(__package__).joinpath("page")
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

_IMPORT = re.compile(r"^import \{([^}]*)\} from \"\./([\w-]+\.js)\";\n", re.MULTILINE)
_ICON = '<link rel="icon" href="page/icon.svg">'
_STYLE = '<link rel="stylesheet" href="page/page.css">'
_SCRIPT = '<script type="module" src="page/main.js"></script>'
_POLICY = '<meta charset="utf-8">'


def asset_names() -> list[str]:
    """Return the name of every file."""
    return sorted(file.name for file in FOLDER.iterdir() if file.is_file())


def read_asset(name: str) -> str:
    """Return one file."""
    return FOLDER.joinpath(name).read_text("utf-8")


def join_scripts() -> str:
    """Return all modules as one classic script, each behind those that it imports.

    Browsers load no modules from a file. Names at the top of the modules must differ from each other.
    """
    ordered: dict[str, str] = {}
    _gather_imports("main.js", ordered)
    return '(() => {\n"use strict";\n' + "\n".join(ordered.values()) + "})();\n"


def bind_page(head: str) -> str:
    """Return the page as one HTML file that holds *head*, JSON.

    It asks for nothing but pictures and the pieces with its rows, all of them next to it.
    """
    style, code = read_asset("page.css"), join_scripts()
    pictures = "img-src 'self' file: data:"
    policy = (
        f"default-src 'none'; {pictures}; script-src {_content_digest(code)} 'self' file:; style-src "
        f"{_content_digest(style)}"
    )
    # No text of a manifest may end the element that holds it.
    inert = head.replace("<", "\\u003c")
    return (
        read_asset("index.html")
        .replace(_POLICY, f'{_POLICY}\n<meta http-equiv="Content-Security-Policy" content="{policy}">')
        .replace(_ICON, '<link rel="icon" href="data:,">')
        .replace(_STYLE, f"<style>{style}</style>")
        .replace(_SCRIPT, "")
        .replace(
            "</body>",
            f'<script type="application/json" id="batch">{inert}</script>\n<script>{code}</script>\n</body>',
        )
    )


def _gather_imports(name: str, ordered: dict[str, str]) -> None:
    text = read_asset(name)
    for _, needed in _IMPORT.findall(text):
        if needed not in ordered:
            _gather_imports(needed, ordered)
    ordered[name] = re.sub(r"^export ", "", _IMPORT.sub("", text), flags=re.MULTILINE)


def _content_digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'"
