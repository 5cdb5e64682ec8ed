"""The Lab's endpoints with a made-up run behind them and a review queue in memory."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

sys.path.insert(0, str(Path(__file__).parents[2] / "evals" / "report"))

from made import made_run

from steelyard.evals.report import Side, comparison_json, item_json, item_rows
from steelyard.evals.report.summary import summary_json

RUN = "e-20261121-7f3a"
TRAINING = "run-0123456789ab"


def _waiting(n: int, **more: Any) -> dict[str, Any]:
    row = {
        "id": f"w-{n}",
        "question": f"How many days does procedure {n} take?",
        "answers": [f"{n} days"],
        "answerable": True,
        "verdict": "pending",
        "type": "fact",
        "origin": "synthetic",
        "source": "handbook/leave.md",
        "quotes": [f"Procedure {n} takes {n} days."],
        "note": "",
        "by": "",
        "has_gold": True,
    }
    return row | more


def _training() -> dict[str, Any]:
    account = {"kept": 9_000, "truncated": 700, "dropped": 300}
    return {
        "id": TRAINING, "state": "running", "kind": "reranker", "step": 40, "num_steps": 100,
        "started_at": 1_000.0, "updated_at": 1_040.0, "ended_at": None, "error": "", "pid": 7,
        "dataset": "0123456789abcdef", "job": "ftjob-0123", "plan": {}, "summary": {},
        "accounting": {"train": account, "notes": []},
        "recipe": "kind: reranker\nbase: <img src=x onerror=alert(1)>\n",
    }  # fmt: skip


@dataclass(slots=True)
class LabCanned:
    made: Any = field(default_factory=lambda: made_run(60))
    empty: bool = False
    refused: bool = False
    queue: list[dict[str, Any]] = field(
        default_factory=lambda: [
            _waiting(1),
            _waiting(2, question="<img src=x onerror=alert(1)> what is it?"),
            _waiting(3, answers=[], quotes=[], has_gold=False, origin="log"),
        ]
    )
    decisions: list[dict[str, Any]] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    training: dict[str, Any] = field(default_factory=_training)
    steps: int = 40
    cancelled: list[str] = field(default_factory=list)

    def routes(self) -> list[Route]:
        return [
            Route("/v1/evals", self.runs),
            Route("/v1/evals/{id}", self.run),
            Route("/v1/evals/{id}/comparison", self.comparison),
            Route("/v1/evals/{id}/items", self.items),
            Route("/v1/evals/{id}/items/{question}", self.item),
            Route("/v1/evals/{id}/report", self.report),
            Route("/v1/tune/runs", self.training_runs),
            Route("/v1/tune/runs/{id}", self.training_run),
            Route("/v1/tune/runs/{id}/metrics", self.training_metrics),
            Route("/v1/tune/runs/{id}/cancel", self.training_cancel, methods=["POST"]),
            Route("/v1/question-sets", self.sets),
            Route("/v1/question-sets/{name}/queue", self.read_queue),
            Route("/v1/question-sets/{name}/decisions", self.decide, methods=["POST"]),
        ]

    async def runs(self, request: Request) -> Response:
        if self.refused:
            return _error(403, "forbidden", "'staff' may not see evaluations")
        report = self.made.report
        verdicts: dict[str, dict[str, int]] = {}
        for one in report.comparisons:
            of_arm = verdicts.setdefault(one.candidate, {})
            of_arm[one.verdict.value] = of_arm.get(one.verdict.value, 0) + 1
        row = {
            "id": RUN, "created_at": report.created_at, "set_name": report.set_name,
            "set_id": report.set_id, "arms": [arm.name for arm in report.arms],
            "measures": list(report.measures), "num_questions": len(report.question_ids),
            "num_failed": 1, "verdicts": verdicts,
        }  # fmt: skip
        other = row | {"id": "e-other", "arms": ["base"]}
        return JSONResponse({"runs": [] if self.empty else [row, other]})

    async def run(self, request: Request) -> Response:
        if request.path_params["id"] != RUN:
            return _error(404, "not_found", f"there is no run {request.path_params['id']!r}")
        return JSONResponse(summary_json(self.made.report))

    def _sides(self, request: Request) -> tuple[Side, Side | None]:
        asked = dict(request.query_params)
        self.asked.append(asked)
        against = asked.get("against", "base")
        arm = Side(self.made.report, asked["arm"])
        same = asked.get("against_run", RUN) == RUN and against == arm.arm
        return arm, None if same else Side(self.made.report, against)

    async def comparison(self, request: Request) -> Response:
        self._sides(request)
        found = [comparison_json(one) for one in self.made.report.comparisons[:4]]
        return JSONResponse({"comparisons": found})

    async def items(self, request: Request) -> Response:
        arm, other = self._sides(request)
        asked = request.query_params
        rows = item_rows(
            arm, other, self.made.questions, measure=asked["measure"], order=asked["order"]
        )
        after, limit = int(asked.get("after", 0)), int(asked["limit"])
        more = str(after + limit) if after + limit < len(rows) else None
        return JSONResponse({"items": rows[after : after + limit], "num": len(rows), "next": more})

    async def item(self, request: Request) -> Response:
        made, question = self.made, request.path_params["question"]
        if question not in made.report.question_ids:
            return _error(404, "not_found", f"run {RUN!r} has no question {question!r}")
        return JSONResponse(item_json(made.report, made.questions, question, made.outcomes))

    async def report(self, request: Request) -> Response:
        return HTMLResponse("<h1>The report</h1>")

    async def training_runs(self, request: Request) -> Response:
        return JSONResponse({"runs": [] if self.empty else [self.training]})

    async def training_run(self, request: Request) -> Response:
        if request.path_params["id"] != TRAINING:
            return _error(404, "not_found", "this home keeps no training run")
        return JSONResponse(self.training | {"step": self.steps})

    async def training_metrics(self, request: Request) -> Response:
        after = int(request.query_params.get("after", 0))
        rows: list[dict[str, Any]] = []
        for step in range(after + 1, self.steps + 1):
            rows.append({"step": step, "loss": 2 / step**0.5, "lr": 2e-4, "grad_norm": 1.5,
                         "tokens": 900 * step, "at": 1.0})  # fmt: skip
            if step % 10 == 0:
                rows.append({"step": step, "at": 1.0, "eval": {"nDCG@10": 0.4 + step / 1000}})
        return JSONResponse({"rows": rows, "next": self.steps, "again": False})

    async def training_cancel(self, request: Request) -> Response:
        self.cancelled.append(request.path_params["id"])
        self.training |= {"state": "interrupted"}
        return JSONResponse(self.training)

    async def sets(self, request: Request) -> Response:
        row = {"name": "handbook", "num_questions": 3, "by_verdict": self._counts()}
        return JSONResponse({"sets": [] if self.empty else [row]})

    def _counts(self) -> dict[str, int]:
        names = ("pending", "accept", "edit", "reject")
        return {n: sum(row["verdict"] == n for row in self.queue) for n in names}

    async def read_queue(self, request: Request) -> Response:
        wanted = request.query_params["verdict"]
        rows = [row for row in self.queue if row["verdict"] == wanted]
        return JSONResponse({"items": rows, "counts": self._counts(), "next": None})

    async def decide(self, request: Request) -> Response:
        body = await request.json()
        self.decisions.append(body)
        row = next(row for row in self.queue if row["id"] == body["id"])
        row["verdict"] = body["verdict"]
        row.update({k: v for k, v in body.items() if k in ("question", "answers", "answerable")})
        return JSONResponse(row)


def _error(status: int, code: str, message: str) -> JSONResponse:
    return JSONResponse({"error": {"code": code, "message": message}}, status)
