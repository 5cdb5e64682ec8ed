"""The web page: static files and where they lie; no logic.

The server sends `index_html()` at `/` and the folder `STATIC` under `/static/`. The page needs
no build step, loads nothing from elsewhere and runs under `default-src 'self'`.
"""

from pathlib import Path

STATIC = Path(__file__).parent / "static"


def index_html() -> str:
    """Return the page that belongs at `/`; its assets are absolute under `/static/`."""
    return (STATIC / "index.html").read_text(encoding="utf-8")
