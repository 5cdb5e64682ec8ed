"""Live comparisons: which bundles, since when, and what came of each question."""

import json
import time
from collections.abc import Mapping

from steelyard.infra.sqlite import Database
from steelyard.store.codec import dump
from steelyard.store.records import Experiment, Exposure

CHALLENGER = "challenger"
# A model that failed and was stood in for, by another bundle or by the answerer that quotes.
STOOD_IN = "llm:"

_OPEN = """
INSERT INTO experiments (name, share, champion, challenger, options, started_at, opened_at)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (name, share, champion, challenger)
    DO UPDATE SET opened_at = excluded.opened_at, options = excluded.options
RETURNING key
"""
_EXPOSURES = """
SELECT a.at, a.user, a.arm = ?, a.answerable, a.unsupported <> '[]',
       a.error <> '' OR EXISTS (
           SELECT 1 FROM json_each(a.degraded) WHERE substr(value, 1, ?) = ?),
       coalesce(json_extract(a.timings_ms, '$.total'), 0.0),
       (SELECT rating FROM feedback WHERE answer = a.key ORDER BY at DESC LIMIT 1)
FROM answers AS a WHERE a.experiment = ? AND a.experiment > 0 ORDER BY a.key
"""


class Experiments:
    def __init__(self, database: Database) -> None:
        self._database = database

    def open_experiment(
        self,
        name: str,
        *,
        share: float,
        champion: str,
        challenger: str,
        options: Mapping[str, object],
    ) -> int:
        """Return the key of a comparison; one that is the same in all goes on, as after a
        restart or in another replica."""
        now = time.time()
        row = (name, share, champion, challenger, dump(dict(options)), now, now)
        with self._database.writing() as connection:
            return int(connection.execute(_OPEN, row).fetchone()[0])

    def experiments(self) -> list[Experiment]:
        """Return all comparisons, the one opened last first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT key, name, share, champion, challenger, options, started_at "
                "FROM experiments ORDER BY opened_at DESC, key DESC"
            ).fetchall()
        return [
            Experiment(key, name, share, champion, challenger, json.loads(options), at)
            for key, name, share, champion, challenger, options, at in rows
        ]

    def exposures(self, experiment: int) -> list[Exposure]:
        """Return what the log still has of a comparison, oldest first; some 50,000 at most."""
        with self._database.reading() as connection:
            rows = connection.execute(
                _EXPOSURES, (CHALLENGER, len(STOOD_IN), STOOD_IN, experiment)
            ).fetchall()
        return [
            Exposure(
                at=at,
                user=user,
                challenger=bool(challenger),
                answerable=bool(answerable),
                unsupported=bool(unsupported),
                failed=bool(failed),
                total_ms=float(total_ms),
                rating=rating,
            )
            for at, user, challenger, answerable, unsupported, failed, total_ms, rating in rows
        ]

    def num_unassigned(self, since: float) -> int:
        """Return how many questions since then were nobody's, and so on no side."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT count(*) FROM answers WHERE at >= ? AND experiment = 0", (since,)
            ).fetchone()
        return int(row[0])
