"""The truth's tables, and the counters that never go back."""

import sqlite3
from dataclasses import dataclass

from steelyard.infra.sqlite import Layout

_VERSION_1 = (
    # One row. `seq` is the newest change; the log answers for any point from `floor` on.
    # Counting starts at the microsecond of creation: an index made from an older file that
    # stood at the same path can never mistake its sequence number for one of this file.
    """CREATE TABLE home (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        seq INTEGER NOT NULL, floor INTEGER NOT NULL,
        chunk_id INTEGER NOT NULL, version INTEGER NOT NULL,
        embedder INTEGER REFERENCES embedders (key)
    ) STRICT""",
    """CREATE TABLE embedders (
        key INTEGER PRIMARY KEY AUTOINCREMENT,
        fingerprint TEXT NOT NULL UNIQUE, dim INTEGER NOT NULL
    ) STRICT""",
    # Access classes. A row never changes but for its count of live chunks.
    """CREATE TABLE classes (
        class INTEGER PRIMARY KEY AUTOINCREMENT,
        collection TEXT NOT NULL, groups TEXT NOT NULL,
        num_chunks INTEGER NOT NULL DEFAULT 0 CHECK (num_chunks >= 0),
        UNIQUE (collection, groups)
    ) STRICT""",
    # A served document is described by its served version; what is on its way is in
    # `submission`. `first_chunk`: a document's chunks are numbered in one piece.
    # `attempt` is a digest of what last ended in the terminal state `settled`.
    """CREATE TABLE documents (
        key INTEGER PRIMARY KEY AUTOINCREMENT,
        collection TEXT NOT NULL, id TEXT NOT NULL,
        uri TEXT NOT NULL, title TEXT NOT NULL, media_type TEXT NOT NULL DEFAULT '',
        metadata TEXT NOT NULL, class INTEGER NOT NULL REFERENCES classes (class),
        sha256 TEXT NOT NULL DEFAULT '', recipe TEXT NOT NULL DEFAULT '',
        served INTEGER NOT NULL DEFAULT 0,
        first_chunk INTEGER NOT NULL DEFAULT 0, num_chunks INTEGER NOT NULL DEFAULT 0,
        updated_at REAL NOT NULL,
        state TEXT NOT NULL, error TEXT, settled TEXT, attempt TEXT,
        version INTEGER NOT NULL, submission TEXT, submitted_at REAL NOT NULL,
        path BLOB, size_bytes INTEGER NOT NULL DEFAULT 0,
        UNIQUE (collection, id)
    ) STRICT""",
    "CREATE INDEX documents_by_class ON documents (class)",
    "CREATE INDEX documents_by_state ON documents (state, num_chunks)",
    # Apart from `documents`, so that listings and filters do not wade through texts.
    """CREATE TABLE texts (
        document INTEGER PRIMARY KEY REFERENCES documents (key) ON DELETE CASCADE,
        text TEXT NOT NULL, blocks TEXT NOT NULL
    ) STRICT""",
    # `text` repeats a piece of the document's, because cutting it out of a long document
    # costs a pass over it for every hit.
    """CREATE TABLE chunks (
        chunk_id INTEGER PRIMARY KEY, document INTEGER NOT NULL, ordinal INTEGER NOT NULL,
        start INTEGER NOT NULL, stop INTEGER NOT NULL, text TEXT NOT NULL,
        heading TEXT, page INTEGER, num_tokens INTEGER NOT NULL, embedding INTEGER NOT NULL
    ) STRICT""",
    # float16: what the index holds anyway, at half the bytes; the error of a cosine is
    # below 0.001. Shared by all chunks with the same embedded text.
    """CREATE TABLE embeddings (
        key INTEGER PRIMARY KEY AUTOINCREMENT,
        embedder INTEGER NOT NULL, sha256 BLOB NOT NULL, vector BLOB NOT NULL,
        UNIQUE (embedder, sha256)
    ) STRICT""",
    """CREATE TABLE log (
        seq INTEGER PRIMARY KEY, chunk_id INTEGER NOT NULL, added INTEGER NOT NULL
    ) STRICT""",
    """CREATE TABLE api_keys (
        id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, sha256 BLOB NOT NULL,
        groups TEXT NOT NULL, operator INTEGER NOT NULL, created_at REAL NOT NULL
    ) STRICT""",
    """CREATE TABLE answers (
        key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, at REAL NOT NULL,
        principal TEXT NOT NULL, collection TEXT NOT NULL, question TEXT NOT NULL,
        text TEXT NOT NULL, answerable INTEGER NOT NULL, citations TEXT NOT NULL,
        timings_ms TEXT NOT NULL, model TEXT NOT NULL, snapshot INTEGER NOT NULL
    ) STRICT""",
    "CREATE INDEX answers_by_time ON answers (at)",
    """CREATE TABLE feedback (
        answer INTEGER NOT NULL REFERENCES answers (key) ON DELETE CASCADE,
        principal TEXT NOT NULL, rating TEXT NOT NULL CHECK (rating IN ('up', 'down')),
        comment TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (answer, principal)
    ) STRICT""",
    """INSERT INTO home (one, seq, floor, chunk_id, version)
       SELECT 1, us, us, 0, 0
       FROM (SELECT CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER) * 1000
                    + abs(random() % 1000) AS us)""",
)

_VERSION_2 = (
    # Token ids of embedded texts, so that a reranker need not tokenise passages: by the hash
    # that `embeddings` has too. `width` is the bytes of an id; ids are little-endian, unsigned.
    """CREATE TABLE tokenizers (
        key INTEGER PRIMARY KEY AUTOINCREMENT,
        identity TEXT NOT NULL UNIQUE, width INTEGER NOT NULL CHECK (width IN (2, 4))
    ) STRICT""",
    """CREATE TABLE tokens (
        tokenizer INTEGER NOT NULL, sha256 BLOB NOT NULL, ids BLOB NOT NULL,
        PRIMARY KEY (tokenizer, sha256)
    ) STRICT, WITHOUT ROWID""",
)

_VERSION_3 = (
    # What a live comparison and a faithful replay need. Answers from before have the defaults:
    # `groups` '' means that it is not known as whom the question was asked. `user` is a
    # pseudonym. `error`: why there is no answer, or why the arm's was given by another.
    # `history` NULL: a conversation too long to keep.
    "ALTER TABLE answers ADD COLUMN bundle TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE answers ADD COLUMN user TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE answers ADD COLUMN experiment INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE answers ADD COLUMN arm TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE answers ADD COLUMN cache TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE answers ADD COLUMN unsupported TEXT NOT NULL DEFAULT '[]'",
    "ALTER TABLE answers ADD COLUMN degraded TEXT NOT NULL DEFAULT '[]'",
    "ALTER TABLE answers ADD COLUMN error TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE answers ADD COLUMN groups TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE answers ADD COLUMN k INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE answers ADD COLUMN filter TEXT NOT NULL DEFAULT '{}'",
    "ALTER TABLE answers ADD COLUMN more_collections TEXT NOT NULL DEFAULT '[]'",
    "ALTER TABLE answers ADD COLUMN history TEXT DEFAULT '[]'",
    "CREATE INDEX answers_by_experiment ON answers (experiment) WHERE experiment > 0",
    # One row for all that must stay the same while two ways to answer are compared.
    """CREATE TABLE experiments (
        key INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL, share REAL NOT NULL,
        champion TEXT NOT NULL, challenger TEXT NOT NULL,
        options TEXT NOT NULL, started_at REAL NOT NULL, opened_at REAL NOT NULL,
        UNIQUE (name, share, champion, challenger)
    ) STRICT""",
)

_VERSION_4 = (
    # The answer as it should have been, from who rated it.
    "ALTER TABLE feedback ADD COLUMN correction TEXT NOT NULL DEFAULT ''",
)

_VERSION_5 = (
    # The registry. What is written here stays: triggers refuse every change.
    """CREATE TABLE versions (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL, options TEXT NOT NULL,
        artefact TEXT NOT NULL, binding TEXT, licence TEXT NOT NULL, created_at REAL NOT NULL
    ) STRICT""",
    # `version` '' is none: a rollback to before the first promotion. `evaluation`: JSON.
    """CREATE TABLE registry_log (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        at REAL NOT NULL, who TEXT NOT NULL, action TEXT NOT NULL, kind TEXT NOT NULL,
        version TEXT NOT NULL, before TEXT NOT NULL, why TEXT NOT NULL,
        forced INTEGER NOT NULL, evaluation TEXT
    ) STRICT""",
    "CREATE INDEX registry_log_by_version ON registry_log (version)",
    # What the log leads to, so that nobody needs to replay it.
    """CREATE TABLE aliases (
        kind TEXT NOT NULL, alias TEXT NOT NULL, version TEXT NOT NULL REFERENCES versions (id),
        PRIMARY KEY (kind, alias)
    ) STRICT, WITHOUT ROWID""",
    *(
        f"""CREATE TRIGGER {table}_{action.lower()} BEFORE {action} ON {table}
            BEGIN SELECT RAISE (ABORT, 'the registry only grows'); END"""
        for table in ("versions", "registry_log")
        for action in ("UPDATE", "DELETE")
    ),
)

_VERSION_6 = (
    # How an embedder was opened (JSON of its options, '' is not known), and the folder of the
    # home that the index of its vectors lies in.
    "ALTER TABLE embedders ADD COLUMN options TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE embedders ADD COLUMN place TEXT NOT NULL DEFAULT 'index'",
    # One row while the home keeps vectors of a second embedder in step: of one that shall follow
    # (`flipped` 0), or of the one before, for going back.
    """CREATE TABLE switch (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        other INTEGER NOT NULL REFERENCES embedders (key),
        flipped INTEGER NOT NULL, started_at REAL NOT NULL
    ) STRICT""",
)

_VERSION_7 = (
    # What the model of an answer read and wrote, for what it cost. NULL: nobody knows, as of
    # every answer from before. 0: nothing, as of an answer that was served again.
    "ALTER TABLE answers ADD COLUMN prompt_tokens INTEGER",
    "ALTER TABLE answers ADD COLUMN cached_tokens INTEGER",
    "ALTER TABLE answers ADD COLUMN completion_tokens INTEGER",
    "ALTER TABLE answers ADD COLUMN context_tokens INTEGER",
)

_VERSION_8 = (
    # What rerankers made of texts when they read them ahead: int8, as many numbers a row as `dim`
    # says; '' where a text is too long to be read without a question. A shadow.
    """CREATE TABLE rerankers (
        key INTEGER PRIMARY KEY AUTOINCREMENT,
        identity TEXT NOT NULL UNIQUE, dim INTEGER NOT NULL
    ) STRICT""",
    """CREATE TABLE readings (
        reranker INTEGER NOT NULL, sha256 BLOB NOT NULL, vectors BLOB NOT NULL,
        UNIQUE (reranker, sha256)
    ) STRICT""",
)

LAYOUT = Layout(
    application_id=0x53544C59,  # "STLY"
    migrations=(
        _VERSION_1,
        _VERSION_2,
        _VERSION_3,
        _VERSION_4,
        _VERSION_5,
        _VERSION_6,
        _VERSION_7,
        _VERSION_8,
    ),
    rebuild="steelyard ingest PATH...",
)


@dataclass(slots=True)
class Clock:
    """The counters of `home` during one write transaction: read, counted up, written back."""

    seq: int
    chunk_id: int
    version: int

    @classmethod
    def read(cls, connection: sqlite3.Connection) -> "Clock":
        return cls(*connection.execute("SELECT seq, chunk_id, version FROM home").fetchone())

    def write(self, connection: sqlite3.Connection) -> None:
        connection.execute(
            "UPDATE home SET seq = ?, chunk_id = ?, version = ?",
            (self.seq, self.chunk_id, self.version),
        )
