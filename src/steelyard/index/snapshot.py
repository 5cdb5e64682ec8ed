"""The index on disk: a manifest, written last, that names the files of one state.

    manifest.json       what follows, its sequence number, and size and checksum of each file
    dense-<token>/      the rows and the graph; written once
    lexical-<token>/    tantivy's directory; it may run ahead of the manifest, never behind

A replay from the manifest's sequence number is harmless to what ran ahead: adding replaces,
removing ignores the unknown.
"""

from __future__ import annotations

import json
import secrets
import shutil
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.index.analysis import ANALYZER
from steelyard.index.dense import Dense, DenseView
from steelyard.index.graph import Damaged, Graph
from steelyard.index.lexical import Lexical
from steelyard.index.options import IndexOptions
from steelyard.index.rows import Rows
from steelyard.index.twins import Twins
from steelyard.infra.files import explained, sync, write_atomic

MANIFEST = "manifest.json"
_FORMAT = f"3/{ANALYZER}"
_DENSE = "dense-"
_LEXICAL = "lexical-"
_GRAPH_FILE = "graph.usearch"
_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Manifest:
    """`vectors` is the form of the graph's; `files` maps a path below the directory to its size
    in bytes and its CRC-32."""

    format: str
    fingerprint: str
    dim: int
    vectors: str
    seq: int
    dense: str
    lexical: str
    covers: int
    files: dict[str, list[int]]


@dataclass(frozen=True, slots=True)
class Loaded:
    dense: Dense
    lexical: Lexical
    seq: int
    folders: set[str]


def new_lexical(directory: Path, *, options: IndexOptions) -> Lexical:
    """Make an empty lexical index in a new folder of `directory`."""
    path = directory / f"{_LEXICAL}{secrets.token_hex(4)}"
    with explained(path):
        path.mkdir(parents=True)
    return Lexical(path, heap_bytes=options.lexical_heap_bytes)


def load(directory: Path, *, dim: int, fingerprint: str, options: IndexOptions) -> Loaded:
    """Read the state that the manifest names.

    Raises:
        FileNotFoundError: there is no manifest: this index is new.
        Damaged: it is torn, or of another format, embedder or shape.
    """
    manifest = read_manifest(directory)
    expected = (_FORMAT, fingerprint, dim)
    if (manifest.format, manifest.fingerprint, manifest.dim) != expected:
        raise Damaged(
            f"it was made as {manifest.format!r} by {manifest.fingerprint!r} with "
            f"{manifest.dim} dimensions; needed: {_FORMAT!r}, {fingerprint!r}, {dim}"
        )
    _check_files(directory, manifest)
    try:
        dense = _load_dense(directory / manifest.dense, manifest, options=options)
        if not (directory / manifest.lexical / "meta.json").exists():
            raise Damaged(f"{manifest.lexical} has no meta.json")
        lexical = Lexical(directory / manifest.lexical, heap_bytes=options.lexical_heap_bytes)
    except (OSError, ValueError, EOFError) as error:  # numpy's and tantivy's words for torn
        raise Damaged(str(error)) from error
    return Loaded(dense, lexical, manifest.seq, {manifest.dense, manifest.lexical})


def save(directory: Path, dense: DenseView, lexical: Path, *, seq: int, fingerprint: str) -> None:
    """Write a state; a crash at any moment leaves the former one or this one.

    Raises:
        SetupError: the disk is full or not writable.
    """
    folder = directory / f"{_DENSE}{secrets.token_hex(4)}"
    with explained(folder):
        try:
            _write_dense(folder, dense)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        files = {
            str(path.relative_to(directory)): measured
            for path in (*_segments(lexical), *sorted(folder.iterdir()))
            if (measured := _measure(path)) is not None
        }
    manifest = Manifest(
        format=_FORMAT,
        fingerprint=fingerprint,
        dim=dense.rows.vectors.shape[1],
        vectors=dense.graph.vectors,
        seq=seq,
        dense=folder.name,
        lexical=lexical.name,
        covers=dense.graph.covers,
        files=files,
    )
    write_atomic(directory / MANIFEST, json.dumps(asdict(manifest), indent=1).encode())
    remove_unnamed(directory, keep={folder.name, lexical.name})


def read_manifest(directory: Path) -> Manifest:
    """Read the manifest.

    Raises:
        FileNotFoundError: there is none.
        Damaged: it is torn.
    """
    content = (directory / MANIFEST).read_bytes()
    try:
        manifest = Manifest(**json.loads(content))
        _ = {path: (int(size), int(crc)) for path, (size, crc) in manifest.files.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise Damaged(f"{MANIFEST} is torn: {error}") from error
    return manifest


def remove_unnamed(directory: Path, *, keep: set[str]) -> None:
    """Remove the states that are not in `keep`: former ones, and what a crash left."""
    for prefix in (_DENSE, _LEXICAL):
        for path in directory.glob(f"{prefix}*"):
            if path.name not in keep:
                shutil.rmtree(path, ignore_errors=True)


def _write_dense(folder: Path, dense: DenseView) -> None:
    folder.mkdir(parents=True)
    arrays: dict[str, NDArray[Any]] = {
        "chunk_ids": dense.rows.chunk_ids,
        "classes": dense.rows.classes,
        "vectors": dense.rows.vectors,
        "live": dense.live,
        "loose": dense.graph.loose,
        "hashes": dense.graph.twins.hashes,
        "leaders": dense.graph.twins.leaders,
        "followed": dense.graph.twins.followed,
        "followers": dense.graph.twins.followers,
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    dense.graph.save(folder / _GRAPH_FILE)
    for path in folder.iterdir():
        sync(path)
    sync(folder)


def _load_dense(folder: Path, manifest: Manifest, *, options: IndexOptions) -> Dense:
    chunk_ids = np.load(folder / "chunk_ids.npy")
    classes = np.load(folder / "classes.npy")
    vectors = np.load(folder / "vectors.npy", mmap_mode="r")  # copied once, by the row store
    live = np.load(folder / "live.npy")
    graph = Graph.empty(dim=manifest.dim, options=options)
    if manifest.vectors == options.vectors:  # else it is made anew, from the same rows
        graph = _load_graph(folder, manifest, options=options)
    size = len(chunk_ids)
    shapes = (vectors.shape, classes.shape, live.shape)
    if shapes != ((size, manifest.dim), (size,), (size,)) or manifest.covers > size:
        raise Damaged(f"its rows do not fit each other: {size} chunk ids, then {shapes}")
    rows = Rows(chunk_ids, classes, vectors, ascending=False)  # the store finds out itself
    return Dense.restored(rows, live, graph, options=options)


def _load_graph(folder: Path, manifest: Manifest, *, options: IndexOptions) -> Graph:
    return Graph.load(
        folder / _GRAPH_FILE,
        dim=manifest.dim,
        covers=manifest.covers,
        loose=np.load(folder / "loose.npy"),
        twins=Twins(
            hashes=np.load(folder / "hashes.npy"),
            leaders=np.load(folder / "leaders.npy"),
            followed=np.load(folder / "followed.npy"),
            followers=np.load(folder / "followers.npy"),
        ),
        options=options,
    )


def _check_files(directory: Path, manifest: Manifest) -> None:
    """Compare checksums: a flipped bit in a graph can crash the process that walks it.

    A lexical file may be gone, merged into others since; tantivy misses what it needs itself.
    """
    for name, measured in manifest.files.items():
        found = _measure(directory / name)
        if found is None and name.startswith(_LEXICAL):
            continue
        if found != measured:
            raise Damaged(f"{name} should have size and CRC-32 {measured}, and has {found}")


def _segments(lexical: Path) -> list[Path]:
    """Return tantivy's files that never change once written: those of committed segments.

    A merge may be writing others, which nobody reads before they are committed.
    """
    meta = json.loads((lexical / "meta.json").read_bytes())
    committed = {segment["segment_id"].replace("-", "") for segment in meta["segments"]}
    return sorted(path for path in lexical.iterdir() if path.name.partition(".")[0] in committed)


def _measure(path: Path) -> list[int] | None:
    """Return size and CRC-32 of a file; None if it is gone."""
    size, checksum = 0, 0
    try:
        with path.open("rb") as file:
            while part := file.read(_READ_BYTES):
                size += len(part)
                checksum = zlib.crc32(part, checksum)
    except FileNotFoundError:
        return None
    return [size, checksum]
