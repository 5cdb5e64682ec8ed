"""A real corpus for the speed benches: Debian's documentation of Python and PostgreSQL.

    python bench/data.py            # makes bench/out/corpus.jsonl and bench/out/chunks800.jsonl

The packages `python3.11-doc` and `postgresql-doc-15` are fetched with `apt-get download` and
unpacked below bench/out/ (nothing is installed). `corpus.jsonl` has {"id", "title", "text"} a
page, `chunks800.jsonl` {"id", "text"} windows of 800 characters cut at white space.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from steelyard.core.errors import ParseError
from steelyard.parse import FileParser

OUT = Path(__file__).parent / "out"
PACKAGES = ("python3.11-doc", "postgresql-doc-15")
CHUNK_CHARS = 800
QUESTIONS = 300
TEMPLATES = (
    "How does {} work?",
    "What is meant by {}?",
    "Where do I read about {} in detail?",
    "Give an example of {} that I can run.",
    "When should I not rely on {}?",
    "Who needs to know about {}?",
)


def corpus_path() -> Path:
    """Return the corpus, made if it is not there yet."""
    path = OUT / "corpus.jsonl"
    if not path.exists():
        OUT.mkdir(parents=True, exist_ok=True)
        rows = list(_pages(_unpacked()))
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def documents() -> list[dict[str, str]]:
    return [json.loads(line) for line in corpus_path().read_text(encoding="utf-8").splitlines()]


def chunks_path() -> Path:
    path = OUT / "chunks800.jsonl"
    if not path.exists():
        rows = (chunk for document in documents() for chunk in windows(document))
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def windows(document: dict[str, str]) -> Iterator[dict[str, str]]:
    """Yield windows of at most CHUNK_CHARS characters, cut at white space."""
    text, start, number = document["text"], 0, 0
    while start < len(text):
        end = min(start + CHUNK_CHARS, len(text))
        if end < len(text):
            space = text.rfind(" ", start + CHUNK_CHARS // 2, end)
            end = space if space > 0 else end
        piece = text[start:end].strip()
        if piece:
            yield {"id": f"{document['id']}#{number}", "text": piece}
            number += 1
        start = end


def questions() -> list[str]:
    """Return real section titles as questions, spread over the corpus, repeatable."""
    titles = _titles()
    step = max(1, len(titles) // QUESTIONS)
    return [TEMPLATES[0].format(title) for title in titles[::step][:QUESTIONS]]


def distinct_questions() -> list[str]:
    """Return some 8,700 different questions, so that nothing that is remembered helps."""
    titles = dict.fromkeys(_titles())
    return [template.format(title) for template in TEMPLATES for title in titles]


def _titles() -> list[str]:
    titles = (document["title"].split("—")[0].strip(" ¶") for document in documents())
    return [title for title in titles if 8 <= len(title) <= 80]


def _unpacked() -> Path:
    root = OUT / "debian"
    if not root.exists():
        packages = OUT / "packages"
        packages.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", "-qq", *PACKAGES], cwd=packages, check=True)
        for package in sorted(packages.glob("*.deb")):
            subprocess.run(["dpkg", "-x", str(package), str(root)], check=True)
    return root


def _pages(root: Path) -> Iterator[dict[str, str]]:
    parser = FileParser()
    try:
        for path in sorted(root.rglob("*.html")):
            if path.is_symlink():
                continue
            try:
                parsed = parser.parse(path.read_bytes(), filename=path.name)
            except ParseError:
                continue
            name = path.relative_to(root).as_posix()
            yield {"id": name, "title": parsed.title, "text": parsed.text}
    finally:
        parser.close()


if __name__ == "__main__":
    sys.stdout.write(f"{corpus_path()}\n{chunks_path()}\n")
