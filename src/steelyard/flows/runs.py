"""Kept runs, for who looks at them: lists, summaries, questions, pages."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from steelyard.core.errors import NotFound
from steelyard.core.evaluation import QuestionSet, Report
from steelyard.evals.records import Records, RunRow, pages_of, records_path
from steelyard.evals.report import (
    Side,
    baseline_of,
    comparison_json,
    item_json,
    item_rows,
    page_digest,
    summary_json,
    weighed,
    write_page,
)
from steelyard.flows.compare import compared

MOST_RUNS = 1_000_000
REMEMBERED = 4  # runs; one of 5 arms × 5,000 questions takes some 30 MB

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pair:
    """An arm of a run against another: "" for the run's last arm, the same run, its baseline."""

    run: str
    arm: str = ""
    against_run: str = ""
    against: str = ""


class Runs:
    """What a home's records say. Blocking; a home without any run has none and gets no file."""

    def __init__(self, home: Path) -> None:
        self._path = records_path(home)
        self._records: Records | None = None
        self._remembered: OrderedDict[tuple[str, str], Any] = OrderedDict()
        self._lock = Lock()

    def listed(self) -> Sequence[RunRow]:
        """Return the runs, newest first."""
        return self._kept().list_runs() if self._path.exists() else ()

    def summary(self, run: str) -> dict[str, Any]:
        """Return a run with everything but its questions.

        Raises:
            NotFound: there is no such run.
        """
        return self._once("summary", run, lambda: summary_json(self.report(run)))

    def comparison(self, pair: Pair) -> list[dict[str, Any]]:
        """Return what lies between two arms, measure by measure.

        Raises:
            NotFound: there is no such run or arm.
            InputError: it is one and the same arm, or the runs asked different sets.
        """
        candidate, baseline = self._sides(pair)
        other = candidate if baseline is None else baseline
        found = compared(self._kept(), other.place, candidate.place)
        return [comparison_json(one) for one in weighed(found)]

    def items(self, pair: Pair, *, measure: str, order: str) -> list[dict[str, Any]]:
        """Return the questions of a run in order, with both arms' values of a measure.

        Raises:
            NotFound: there is no such run or arm.
            InputError: there is no such measure or order.
        """
        candidate, baseline = self._sides(pair)
        questions = self._questions(pair.run)
        return item_rows(candidate, baseline, questions, measure=measure, order=order)

    def item(self, run: str, question_id: str) -> dict[str, Any]:
        """Return one question with what every arm did.

        Raises:
            NotFound: there is no such run or question.
        """
        report = self.report(run)
        found = self._kept().outcomes(report.id, question_ids=[question_id])
        return item_json(report, self._questions(run), question_id, found)

    def page(self, run: str) -> Path:
        """Return the run's report as a file, written when it is first asked for.

        Raises:
            NotFound: there is no such run.
        """
        report = self.report(run)
        folder = pages_of(self._path)
        folder.mkdir(exist_ok=True)
        path = folder / f"{report.id}-{page_digest()}.html"
        if not path.exists():
            known = {row.id for row in self._kept().list_runs(limit=MOST_RUNS)}
            for old in folder.glob("*.html"):
                if old.stem.rpartition("-")[0] not in known - {report.id}:
                    old.unlink(missing_ok=True)
            outcomes = self._kept().outcomes(report.id)
            write_page(path, report, self._questions(report.id), outcomes)
        return path

    def close(self) -> None:
        if self._records is not None:
            self._records.close()

    def _kept(self) -> Records:
        with self._lock:
            if self._records is None:
                if not self._path.exists():
                    raise NotFound("this home keeps no run; make one with `steelyard eval run`")
                self._records = Records(self._path)
            return self._records

    def report(self, run: str) -> Report:
        """Return a run's report.

        Raises:
            NotFound: there is no such run.
        """
        return self._once("report", run, lambda: self._kept().report(run))

    def _questions(self, run: str) -> QuestionSet:
        return self._once("questions", run, lambda: self._kept().questions(run))

    def _once(self, kind: str, run: str, make: Callable[[], T]) -> T:
        """Return what was made before of one of the last few runs, if it is still kept.

        Only whole ids are remembered: what `last` or the beginning of an id means may change.
        """
        if run not in {row.id for row in self._kept().list_runs()}:
            return make()
        key = (kind, run)
        with self._lock:
            if key in self._remembered:
                self._remembered.move_to_end(key)
                known: T = self._remembered[key]
                return known
        made = make()
        with self._lock:
            self._remembered[key] = made
            while len(self._remembered) > 3 * REMEMBERED:
                self._remembered.popitem(last=False)
        return made

    def _sides(self, pair: Pair) -> tuple[Side, Side | None]:
        """Return both sides; None for the second where it is the first again."""
        report = self.report(pair.run)
        arm = pair.arm or report.arms[-1].name
        other = self.report(pair.against_run) if pair.against_run else report
        against = pair.against or baseline_of(other)
        same = other.id == report.id and arm == against
        return Side(report, arm), None if same else Side(other, against)
