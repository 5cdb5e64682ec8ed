"""Which files a path stands for, and the identity that each keeps in the home."""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import unquote, urlsplit

from steelyard.core.errors import InputError

IGNORE_FILE = ".steelyardignore"
QUESTIONS_FILE = "questions.jsonl"
NEVER = frozenset({"node_modules", "__pycache__", "venv", "site-packages"})


@dataclass(frozen=True, slots=True)
class FoundFile:
    path: Path
    size_bytes: int


def document_id(uri: str) -> str:
    """Return the id of a document that was not given one: the same uri, the same id."""
    return "d" + hashlib.sha256(uri.encode()).hexdigest()[:16]


def file_uri(path: Path) -> str:
    return path.as_uri()


def path_of(uri: str) -> Path | None:
    """Return the path of a `file://` uri; None for any other uri."""
    parts = urlsplit(uri)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def resolve_roots(paths: Sequence[str | Path]) -> list[Path]:
    """Return absolute paths.

    Raises:
        InputError: one or more do not exist; all of them are named.
    """
    roots = [Path(os.path.abspath(Path(path).expanduser())) for path in paths]
    missing = [str(root) for root in roots if not root.exists()]
    if missing:
        raise InputError(
            f"no such file or folder: {', '.join(map(repr, missing))}; check the spelling",
            code="no_such_path",
        )
    return roots


def find_files(roots: Sequence[Path], *, exclude: Sequence[Path] = ()) -> Iterator[FoundFile]:
    """Yield the files under `roots`, sorted within a folder, each once.

    Hidden files and folders, `NEVER` folders, what an ignore file in the same or a higher
    folder names, links that lead out of their root, and `exclude` are passed over.
    """
    seen: set[Path] = set()
    for root in roots:
        for found in _walk(root, exclude):
            if found.path not in seen:
                seen.add(found.path)
                yield found


def belongs(path: Path, roots: Sequence[Path], *, exclude: Sequence[Path] = ()) -> bool:
    """Tell whether `find_files(roots)` would yield `path` if it existed as a file."""
    for root in roots:
        if path == root:
            return True
        if root not in path.parents or any(path.is_relative_to(out) for out in exclude):
            continue
        inner = path.relative_to(root)
        if any(_passed_over(part) for part in inner.parts):
            continue
        folders = [root.joinpath(*inner.parts[:depth]) for depth in range(len(inner.parts))]
        if not any(_ignored(path, folder, _patterns(folder)) for folder in folders):
            return True
    return False


def example_questions(roots: Sequence[Path], *, limit: int = 4) -> list[str]:
    """Return questions to begin with: the first answerable ones of a `questions.jsonl` at the
    top of a root, one a type; none where no such file is, or it is of another form."""
    found: dict[str, str] = {}
    for root in roots:
        try:
            lines = (root / QUESTIONS_FILE).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            continue
        for line in lines:
            try:
                row = json.loads(line)
            except ValueError:
                break
            if isinstance(row, dict) and row.get("answerable", True) and row.get("question"):
                found.setdefault(str(row.get("type", "")), str(row["question"]))
    return list(found.values())[:limit]


def _walk(root: Path, exclude: Sequence[Path]) -> Iterator[FoundFile]:
    if root.is_file():
        yield FoundFile(root, root.stat().st_size)
        return
    rules: dict[Path, list[str]] = {}
    real_root = root.resolve()
    for folder_name, folder_names, file_names in os.walk(root):
        folder = Path(folder_name)
        rules[folder] = _patterns(folder)
        above = [(up, rules[up]) for up in (folder, *folder.parents) if rules.get(up)]
        folder_names[:] = sorted(
            name
            for name in folder_names
            if not _passed_over(name)
            and not any(_ignored(folder / name, up, patterns) for up, patterns in above)
            and not any(folder / name == out for out in exclude)
        )
        for name in sorted(file_names):
            path = folder / name
            if _passed_over(name) or any(_ignored(path, up, pats) for up, pats in above):
                continue
            if path.is_symlink() and not path.resolve().is_relative_to(real_root):
                continue
            try:
                yield FoundFile(path, path.stat().st_size)
            except OSError:  # gone since the folder was listed
                continue


def _passed_over(name: str) -> bool:
    return name.startswith(".") or name.endswith("~") or name in NEVER


def _patterns(folder: Path) -> list[str]:
    try:
        lines = (folder / IGNORE_FILE).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [line.strip().rstrip("/") for line in lines if line.strip() and line[0] != "#"]


def _ignored(path: Path, folder: Path, patterns: Sequence[str]) -> bool:
    """Match the path below `folder`, or any single name in it, with shell patterns."""
    inner = path.relative_to(folder)
    return any(
        fnmatchcase(inner.as_posix(), pattern)
        or any(fnmatchcase(part, pattern) for part in inner.parts)
        for pattern in patterns
    )
