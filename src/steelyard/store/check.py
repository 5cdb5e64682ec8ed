"""A full look at the truth: is the file sound, and does it agree with itself?"""

import sqlite3

from steelyard.infra.sqlite import Database

# Each query returns the rows that should not be: a name, and what is wrong with it.
_INVARIANTS = (
    """SELECT d.collection || '/' || d.id, 'says ' || d.num_chunks || ' chunks but has ' ||
           (SELECT count(*) FROM chunks AS c WHERE c.document = d.key
               AND c.chunk_id >= d.first_chunk AND c.chunk_id < d.first_chunk + d.num_chunks)
       FROM documents AS d WHERE d.num_chunks <>
           (SELECT count(*) FROM chunks AS c WHERE c.document = d.key
               AND c.chunk_id >= d.first_chunk AND c.chunk_id < d.first_chunk + d.num_chunks)""",
    """SELECT 'chunks', (SELECT count(*) FROM chunks) || ' are stored but documents hold ' ||
           (SELECT coalesce(sum(num_chunks), 0) FROM documents)
       WHERE (SELECT count(*) FROM chunks) <>
           (SELECT coalesce(sum(num_chunks), 0) FROM documents)""",
    """SELECT 'class ' || k.class, 'counts ' || k.num_chunks || ' chunks but has ' ||
           (SELECT coalesce(sum(num_chunks), 0) FROM documents WHERE class = k.class)
       FROM classes AS k WHERE k.num_chunks <>
           (SELECT coalesce(sum(num_chunks), 0) FROM documents WHERE class = k.class)""",
    """SELECT 'chunk ' || c.chunk_id, 'has no vector of the home''s embedder'
       FROM chunks AS c LEFT JOIN embeddings AS e ON e.key = c.embedding
       LEFT JOIN embedders AS m ON m.key = e.embedder
       WHERE e.key IS NULL OR m.key <> (SELECT embedder FROM home)
          OR length(e.vector) <> 2 * m.dim""",
    """SELECT 'token ids of ' || lower(hex(t.sha256)), 'are not whole numbers of a known tokenizer'
       FROM tokens AS t LEFT JOIN tokenizers AS z ON z.key = t.tokenizer
       WHERE z.key IS NULL OR length(t.ids) % z.width <> 0""",
    """SELECT 'reading of ' || lower(hex(r.sha256)), 'is not whole rows of a known reranker'
       FROM readings AS r LEFT JOIN rerankers AS k ON k.key = r.reranker
       WHERE k.key IS NULL OR length(r.vectors) % k.dim <> 0""",
    """SELECT d.collection || '/' || d.id, 'is served but has no text'
       FROM documents AS d WHERE d.served
          AND NOT EXISTS (SELECT 1 FROM texts WHERE document = d.key)""",
    """SELECT d.collection || '/' || d.id, 'is ' || d.state || ' without a served version'
       FROM documents AS d WHERE d.state = 'searchable' AND NOT d.served""",
    """SELECT 'log', 'ends at ' || max(seq) || ' but the home is at ' ||
           (SELECT seq FROM home) FROM log
       HAVING max(seq) <> (SELECT seq FROM home)""",
    """SELECT 'log', 'holds ' || count(*) || ' changes for ' ||
           (SELECT seq - floor FROM home) || ' numbers' FROM log
       HAVING count(*) <> (SELECT seq - floor FROM home)""",
)
_MAX_FAULTS = 50


def check(database: Database) -> list[str]:
    """Return what is wrong, one line each and at most 50; reads everything, so it takes time."""
    with database.snapshot() as connection:
        faults = [str(row[0]) for row in connection.execute(f"PRAGMA quick_check({_MAX_FAULTS})")]
        if faults != ["ok"]:
            return faults
        faults = [f"{row[0]} {row[1]}" for sql in _INVARIANTS for row in connection.execute(sql)]
        return (faults + _misquotes(connection))[:_MAX_FAULTS]


def _misquotes(connection: sqlite3.Connection) -> list[str]:
    """Return the chunks that are not the stretch of their document's text that they claim."""
    faults: list[str] = []
    texts = connection.execute(
        "SELECT t.text, d.first_chunk, d.num_chunks, d.collection, d.id "
        "FROM texts AS t JOIN documents AS d ON d.key = t.document WHERE d.num_chunks > 0"
    )
    for text, first_chunk, num_chunks, collection, document_id in texts:
        chunks = connection.execute(
            "SELECT chunk_id, start, stop, text FROM chunks WHERE chunk_id >= ? AND chunk_id < ?",
            (first_chunk, first_chunk + num_chunks),
        )
        faults += [
            f"chunk {chunk_id} is not {collection}/{document_id} text[{start}:{stop}]"
            for chunk_id, start, stop, quoted in chunks
            if text[start:stop] != quoted
        ]
    return faults
