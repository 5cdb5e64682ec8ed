"""The store: one SQLite file, and every verb on it."""

from pathlib import Path

from steelyard.infra.sqlite import Database
from steelyard.store.access import Access
from steelyard.store.answers import Answers
from steelyard.store.check import check
from steelyard.store.embeddings import Embeddings
from steelyard.store.experiments import Experiments
from steelyard.store.feed import KEPT_CHANGES, Feed
from steelyard.store.keys import Keys
from steelyard.store.reading import Reading
from steelyard.store.readings import Readings
from steelyard.store.replacing import Replacing
from steelyard.store.schema import LAYOUT
from steelyard.store.submissions import Submissions
from steelyard.store.switching import Switching
from steelyard.store.tokens import Tokens
from steelyard.store.versions import Versions

DATABASE = "steelyard.db"  # its name in a home


class Store:
    """The only truth of a home, for any number of threads and processes.

    Each verb below is defined, with its contract, by the collaborator that owns its tables.
    A write is one transaction; any verb may raise `SetupError` (disk full, damaged, not
    writable) or `Overloaded` (locked for too long by another process).
    """

    def __init__(self, database: Database, *, kept_changes: int = KEPT_CHANGES) -> None:
        self._database = database

        access = Access(database)
        self.allowed = access.allowed

        reading = Reading(database, access=access)
        self.fetch = reading.fetch
        self.chunks_of = reading.chunks_of
        self.documents = reading.documents
        self.document = reading.document
        self.parsed = reading.parsed
        self.text = reading.text
        self.counts = reading.counts
        self.collections = reading.collections

        submissions = Submissions(database)
        self.submit = submissions.submit
        self.submit_many = submissions.submit_many
        self.set_state = submissions.set_state
        self.fail = submissions.fail
        self.skip = submissions.skip
        self.keep = submissions.keep
        self.unchanged = submissions.unchanged
        self.pending = submissions.pending

        feed = Feed(database, kept_changes=kept_changes)
        self.last_seq = feed.last_seq
        self.changes = feed.changes
        self.live_chunk_ids = feed.live_chunk_ids
        self.rows = feed.rows
        self.vectors_by = feed.by
        self.spans = feed.spans

        embeddings = Embeddings(database)
        self.embedder = embeddings.embedder
        self.claim_embedder = embeddings.claim_embedder
        self.cached_embeddings = embeddings.cached_embeddings
        self.remember_embeddings = embeddings.remember_embeddings
        self.unembedded = embeddings.unembedded
        self.reset_embedder = embeddings.reset_embedder
        self.prune_embeddings = embeddings.prune_embeddings

        switching = Switching(database)
        self.home_embedder = switching.home_embedder
        self.switch = switching.switch
        self.num_unembedded = switching.num_unembedded
        self.begin_switch = switching.begin_switch
        self.flip_embedder = switching.flip_embedder
        self.end_switch = switching.end_switch
        self.drop_vectors = switching.drop_vectors

        self.token_ids = Tokens(database).token_ids

        readings = Readings(database)
        self.unread = readings.unread
        self.keep_readings = readings.keep_readings
        self.readings = readings.readings
        self.prune_readings = readings.prune_readings

        replacing = Replacing(database, embeddings=embeddings, feed=feed)
        self.replace = replacing.replace
        self.replace_many = replacing.replace_many
        self.delete = replacing.delete

        keys = Keys(database)
        self.add_key = keys.add_key
        self.principal_for = keys.principal_for
        self.list_keys = keys.list_keys
        self.remove_key = keys.remove_key

        answers = Answers(database)
        self.log_answer = answers.log_answer
        self.log_failure = answers.log_failure
        self.add_feedback = answers.add_feedback
        self.recent_answers = answers.recent_answers
        self.used_answers = answers.used_answers
        self.log_is_whole_since = answers.log_is_whole_since

        experiments = Experiments(database)
        self.open_experiment = experiments.open_experiment
        self.experiments = experiments.experiments
        self.exposures = experiments.exposures
        self.num_unassigned = experiments.num_unassigned

        versions = Versions(database)
        self.register_version = versions.register_version
        self.version = versions.version
        self.versions = versions.versions
        self.keep_evaluation = versions.keep_evaluation
        self.promote_version = versions.promote_version
        self.roll_back = versions.roll_back
        self.aliases = versions.aliases
        self.champion_versions = versions.champion_versions
        self.registry_seq = versions.registry_seq
        self.registry_history = versions.registry_history

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        read_only: bool = False,
        busy_timeout_s: float | None = None,
        kept_changes: int = KEPT_CHANGES,
    ) -> "Store":
        """Open the file at `path`; it is made, with its folder, unless `read_only`.

        Raises:
            SetupError: the file is damaged, foreign, too new, unwritable, or the disk is full.
            Overloaded: another process kept it locked for longer than `busy_timeout_s`.
        """
        database = Database(path, layout=LAYOUT, readonly=read_only, timeout_s=busy_timeout_s)
        return cls(database, kept_changes=kept_changes)

    @property
    def path(self) -> Path:
        return self._database.path

    def data_version(self) -> int:
        """Return a number that changes whenever anyone commits anything, at the price of
        microseconds; `last_seq` then tells whether it was a change to chunks."""
        return self._database.data_version()

    def check(self) -> list[str]:
        """Return the faults of the file and of what it says, none if it is sound."""
        return check(self._database)

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
