"""Which HTML elements a reader sees, and how they end; the rules behind `parse.html`."""

import re
from collections.abc import Mapping

VOID = frozenset(
    (
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "source",
        "track",
        "wbr",
    )
)
_SILENT = frozenset(
    (
        "script",
        "style",
        "template",
        "noscript",
        "svg",
        "canvas",
        "iframe",
        "object",
        "select",
        "button",
        "textarea",
        "datalist",
        "audio",
        "video",
        "map",
        "math",
    )
)
_SILENT_ROLES = frozenset(("navigation", "search", "menu", "menubar", "alert", "dialog"))
BLOCKS = frozenset(
    (
        "address",
        "article",
        "aside",
        "blockquote",
        "body",
        "caption",
        "center",
        "dd",
        "details",
        "dialog",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "header",
        "hr",
        "legend",
        "main",
        "ol",
        "p",
        "section",
        "summary",
        "ul",
    )
)
HEADINGS = {f"h{level}": level for level in range(1, 7)}
CLOSES = {  # a start tag that ends an open element of the same kind without its end tag
    "li": ("li",),
    "dt": ("dt", "dd"),
    "dd": ("dt", "dd"),
    "tr": ("tr", "td", "th"),
    "td": ("td", "th"),
    "th": ("td", "th"),
    "option": ("option",),
    **dict.fromkeys((*BLOCKS, *HEADINGS, "pre", "table"), ("p",)),
}
_HIDING = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?:px|pt|em|rem|%)?\s*(?:;|$)"
    r"|opacity\s*:\s*0(?:\.0+)?\s*(?:;|$)",
    re.IGNORECASE,
)
META = {
    "author": "author",
    "article:author": "author",
    "description": "description",
    "og:description": "description",
    "date": "created",
    "dcterms.created": "created",
    "article:published_time": "created",
    "keywords": "keywords",
}


def is_silent(tag: str, attributes: Mapping[str, str]) -> bool:
    """Tell whether an element's content is not for a reader, or is hidden from one."""
    return (
        tag in _SILENT
        or "hidden" in attributes
        or attributes.get("aria-hidden") == "true"
        or attributes.get("role", "") in _SILENT_ROLES
        or bool(_HIDING.search(attributes.get("style", "")))
    )
