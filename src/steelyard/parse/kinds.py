"""What kind of file it is: by its content where that is certain, else by its name."""

import io
import zipfile
from enum import StrEnum
from pathlib import PurePosixPath


class Kind(StrEnum):
    """How a file is read. The value doubles as the worker's word for it."""

    MARKDOWN = "markdown"
    RST = "rst"
    ASCIIDOC = "asciidoc"
    TEX = "tex"
    NOTEBOOK = "notebook"
    TABLE = "table"
    JSON = "json"
    XML = "xml"
    CODE = "code"
    TEXT = "text"
    HTML = "html"
    EMAIL = "email"
    PDF = "pdf"
    PPTX = "pptx"
    OFFICE = "office"
    GZIP = "gzip"
    ARCHIVE = "archive"
    UNSUPPORTED = "unsupported"


_OOXML = "application/vnd.openxmlformats-officedocument."
_ODF = "application/vnd.oasis.opendocument."
DOCX = _OOXML + "wordprocessingml.document"
XLSX = _OOXML + "spreadsheetml.sheet"
PPTX = _OOXML + "presentationml.presentation"
DOC, XLS, PPT = "application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint"
MSG, EPUB, RTF = "application/vnd.ms-outlook", "application/epub+zip", "application/rtf"
ODT, ODS = _ODF + "text", _ODF + "spreadsheet"

_BY_SUFFIX: dict[str, tuple[Kind, str]] = {
    **dict.fromkeys(("md", "markdown", "mdx", "mdown", "mkd"), (Kind.MARKDOWN, "text/markdown")),
    **dict.fromkeys(("rst", "rest"), (Kind.RST, "text/x-rst")),
    **dict.fromkeys(("adoc", "asciidoc", "asc"), (Kind.ASCIIDOC, "text/asciidoc")),
    **dict.fromkeys(("tex", "latex", "ltx"), (Kind.TEX, "text/x-tex")),
    "ipynb": (Kind.NOTEBOOK, "application/x-ipynb+json"),
    "csv": (Kind.TABLE, "text/csv"),
    **dict.fromkeys(("tsv", "tab"), (Kind.TABLE, "text/tab-separated-values")),
    **dict.fromkeys(("json", "geojson", "jsonld"), (Kind.JSON, "application/json")),
    **dict.fromkeys(("jsonl", "ndjson"), (Kind.JSON, "application/x-ndjson")),
    **dict.fromkeys(("xml", "rss", "atom", "xsd", "opml"), (Kind.XML, "application/xml")),
    **dict.fromkeys(("html", "htm", "xhtml"), (Kind.HTML, "text/html")),
    **dict.fromkeys(("eml", "mht", "mhtml"), (Kind.EMAIL, "message/rfc822")),
    **dict.fromkeys(("txt", "text", "log", "me"), (Kind.TEXT, "text/plain")),
    **dict.fromkeys(("org", "wiki", "textile", "srt", "vtt"), (Kind.TEXT, "text/plain")),
    "pdf": (Kind.PDF, "application/pdf"),
    **dict.fromkeys(("docx", "docm", "dotx"), (Kind.OFFICE, DOCX)),
    **dict.fromkeys(("pptx", "pptm", "ppsx"), (Kind.PPTX, PPTX)),
    **dict.fromkeys(("xlsx", "xlsm", "xltx"), (Kind.OFFICE, XLSX)),
    "doc": (Kind.OFFICE, DOC),
    "xls": (Kind.OFFICE, XLS),
    "ppt": (Kind.OFFICE, PPT),
    "msg": (Kind.OFFICE, MSG),
    "epub": (Kind.OFFICE, EPUB),
    "odt": (Kind.OFFICE, ODT),
    "ods": (Kind.OFFICE, ODS),
    "rtf": (Kind.OFFICE, RTF),
    "gz": (Kind.GZIP, "application/gzip"),
    **dict.fromkeys(
        ("zip", "tar", "tgz", "7z", "rar", "bz2", "xz", "zst", "jar"),
        (Kind.ARCHIVE, "application/zip"),
    ),
}
_CODE_SUFFIXES = frozenset(
    (
        "py",
        "pyi",
        "js",
        "mjs",
        "cjs",
        "ts",
        "tsx",
        "jsx",
        "java",
        "kt",
        "kts",
        "scala",
        "c",
        "h",
        "cc",
        "cpp",
        "cxx",
        "hpp",
        "hh",
        "cs",
        "go",
        "rs",
        "rb",
        "php",
        "swift",
        "m",
        "mm",
        "r",
        "jl",
        "lua",
        "pl",
        "pm",
        "sh",
        "bash",
        "zsh",
        "fish",
        "ps1",
        "bat",
        "sql",
        "graphql",
        "proto",
        "thrift",
        "yaml",
        "yml",
        "toml",
        "ini",
        "cfg",
        "conf",
        "env",
        "properties",
        "gradle",
        "cmake",
        "mk",
        "dockerfile",
        "tf",
        "hcl",
        "css",
        "scss",
        "less",
        "vue",
        "svelte",
        "ex",
        "exs",
        "erl",
        "hs",
        "ml",
        "mli",
        "clj",
        "el",
        "lisp",
        "scm",
        "dart",
        "nim",
        "zig",
        "v",
        "vhd",
        "asm",
        "s",
        "f",
        "f90",
        "f95",
        "for",
        "diff",
        "patch",
    )
)
_BY_NAME = {
    **dict.fromkeys(("makefile", "dockerfile", "jenkinsfile", "cmakelists.txt"), Kind.CODE),
    **dict.fromkeys(("readme", "license", "licence", "changelog", "authors", "notice"), Kind.TEXT),
}
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OLE_STREAMS = (  # names in the directory of a compound file, as UTF-16
    ("EncryptedPackage", "encrypted"),
    ("__substg1.0_", MSG),
    ("WordDocument", DOC),
    ("PowerPoint Document", PPT),
    ("Workbook", XLS),
    ("Book", XLS),
)
_ZIP_PARTS = (("word/", Kind.OFFICE, DOCX), ("xl/", Kind.OFFICE, XLSX), ("ppt/", Kind.PPTX, PPTX))
_BINARY_MAGIC = (
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"OggS", "a recording"),
    (b"ID3", "a recording"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
)


def suffix_of(filename: str) -> str:
    return PurePosixPath(filename.replace("\\", "/")).suffix.lower().lstrip(".")


def supported(filename: str) -> bool:
    """Tell by its name alone whether a file is worth reading; archives are not unpacked."""
    return _named(filename)[0] not in (Kind.ARCHIVE, Kind.UNSUPPORTED)


def kind_of(filename: str, content: bytes) -> tuple[Kind, str]:
    """Return how to read a file, and its media type (for `UNSUPPORTED`: what it seems to be).

    Magic bytes win over the name: a PDF named `.docx` is a PDF. `content` may be a file's head;
    a zip container's insides then decide only if its directory lies in it.
    """
    named, media_type = _named(filename)
    if b"%PDF-" in content[:1024]:
        return Kind.PDF, "application/pdf"
    if content.startswith(b"PK\x03\x04"):
        return _zip_kind(content, (named, media_type))
    if content.startswith(_OLE):
        return _ole_kind(content, (named, media_type))
    if content.startswith(b"{\\rtf"):
        return Kind.OFFICE, RTF
    if content.startswith(b"\x1f\x8b"):
        return Kind.GZIP, "application/gzip"
    for magic, words in _BINARY_MAGIC:
        if content.startswith(magic):
            return Kind.UNSUPPORTED, words
    if named in (Kind.PDF, Kind.OFFICE, Kind.PPTX, Kind.GZIP, Kind.UNSUPPORTED):
        return _text_kind(content[:1024], (named, media_type))
    return named, media_type


def _named(filename: str) -> tuple[Kind, str]:
    name = PurePosixPath(filename.replace("\\", "/")).name.lower()
    suffix = suffix_of(name)
    if name in _BY_NAME:
        return _BY_NAME[name], "text/plain"
    if suffix in _CODE_SUFFIXES:
        return Kind.CODE, f"text/x-{suffix}"
    return _BY_SUFFIX.get(suffix, (Kind.UNSUPPORTED, "a file of an unknown kind"))


def _text_kind(head: bytes, named: tuple[Kind, str]) -> tuple[Kind, str]:
    """Look again at a file whose name promises what its first bytes do not keep."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return Kind.HTML, "text/html"
    if named[0] is not Kind.UNSUPPORTED:
        return named
    if start.startswith(b"<?xml"):
        return Kind.XML, "application/xml"
    return Kind.TEXT, "text/plain"


def _zip_kind(content: bytes, named: tuple[Kind, str]) -> tuple[Kind, str]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()[:10_000]
            typed = archive.getinfo("mimetype") if "mimetype" in names else None
            declared = archive.read(typed) if typed and typed.file_size < 200 else b""
    except Exception:  # damaged, or the head only; the format's own parser says what is wrong
        return named
    media_type = declared.decode("ascii", errors="replace").strip()
    if media_type in (EPUB, ODT, ODS):
        return Kind.OFFICE, media_type
    if media_type.startswith(_ODF):
        return Kind.UNSUPPORTED, "this OpenDocument format (export it as PDF)"
    for prefix, kind, part_type in _ZIP_PARTS:
        if any(name.startswith(prefix) for name in names) and "[Content_Types].xml" in names:
            return kind, part_type
    if "Index/Document.iwa" in names or "index.xml" in names or "Index.zip" in names:
        return Kind.UNSUPPORTED, "an Apple iWork document (export it as PDF)"
    return Kind.ARCHIVE, "application/zip"


def _ole_kind(content: bytes, named: tuple[Kind, str]) -> tuple[Kind, str]:
    for stream, media_type in _OLE_STREAMS:
        if stream.encode("utf-16-le") in content:
            return Kind.OFFICE, media_type
    return named if named[0] is Kind.OFFICE else (Kind.UNSUPPORTED, "an unknown compound file")
