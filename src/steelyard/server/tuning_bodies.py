"""OpenAI's shapes of files and fine-tuning jobs, and ours of training runs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from steelyard.core.errors import InputError
from steelyard.core.tuning import RunState
from steelyard.flows.fine_tuning import status_details
from steelyard.flows.training_runs import RunDetails
from steelyard.jobs import (
    DPO,
    METHODS,
    SUPERVISED,
    Checkpoint,
    Curves,
    Event,
    Hyperparameters,
    Job,
    JobPage,
    JobRequest,
    JobStatus,
    Progress,
    Standing,
    StoredFile,
)

Auto = Literal["auto"]
FileId = Annotated[str, StringConstraints(min_length=1, max_length=200)]
ORGANIZATION = "steelyard"
PACE_STEPS = 50  # the newest, whose pace tells when a run ends


class Strict(BaseModel):
    """A misspelt hyperparameter must not be ignored in silence."""

    model_config = ConfigDict(extra="forbid")


class HyperparametersBody(Strict):
    n_epochs: Auto | Annotated[int, Field(ge=1, le=1000)] = "auto"
    batch_size: Auto | Annotated[int, Field(ge=1, le=65_536)] = "auto"
    learning_rate_multiplier: Auto | Annotated[float, Field(gt=0, le=1000)] = "auto"
    beta: Auto | Annotated[float, Field(gt=0, le=100)] = "auto"


class MethodOptions(Strict):
    hyperparameters: HyperparametersBody = Field(default_factory=HyperparametersBody)


class MethodBody(Strict):
    type: str
    supervised: MethodOptions | None = None
    dpo: MethodOptions | None = None
    reinforcement: dict[str, Any] | None = None


class OurBody(Strict):
    """Our addition: `kind` is embedder, reranker, reader, classifier or llm; `recipe` holds any
    key of a training recipe, and counts more than what follows from the rest."""

    kind: str = ""
    recipe: dict[str, Any] = Field(default_factory=dict)


class FineTuningBody(Strict):
    """`/v1/fine_tuning/jobs`; `model` is the base: a model's folder or its name."""

    model: str = Field(min_length=1, max_length=1000)
    training_file: FileId
    validation_file: FileId | None = None
    method: MethodBody | None = None
    hyperparameters: HyperparametersBody | None = None
    seed: int | None = Field(None, ge=0, le=2**31 - 1)
    suffix: str | None = Field(None, max_length=64)
    metadata: dict[str, Annotated[str, StringConstraints(max_length=512)]] | None = Field(
        None, max_length=16
    )
    integrations: list[dict[str, Any]] | None = None
    steelyard: OurBody = Field(default_factory=OurBody)

    def to_request(self) -> JobRequest:
        """Return what is asked for.

        Raises:
            InputError: a method or an integration that there is not here.
        """
        method = self.method.type if self.method else SUPERVISED
        if method not in METHODS:
            raise InputError(f"method.type {method!r} is none of {', '.join(METHODS)}")
        if self.integrations:
            raise InputError("integrations are not sent to; runs are tracked by MLflow here")
        options = None
        if self.method is not None:
            options = self.method.dpo if method == DPO else self.method.supervised
        given = options.hyperparameters if options else self.hyperparameters
        fields = {} if given is None else given.model_dump()
        if method != DPO and fields.get("beta", "auto") != "auto":
            raise InputError("hyperparameters.beta belongs to method 'dpo'; leave it out")
        known = {name: value for name, value in fields.items() if value != "auto"}
        return JobRequest(
            model=self.model,
            training_file=self.training_file,
            validation_file=self.validation_file or "",
            method=method,
            hyperparameters=Hyperparameters(**known),
            kind=self.steelyard.kind,
            recipe=self.steelyard.recipe,
            metadata=self.metadata or {},
            seed=self.seed,
            suffix=self.suffix or "",
        )


def file_json(stored: StoredFile) -> dict[str, Any]:
    return {
        "id": stored.id,
        "object": "file",
        "bytes": stored.size_bytes,
        "created_at": stored.created_at,
        "filename": stored.name,
        "purpose": stored.purpose,
        "status": stored.status.value,
        "status_details": status_details(stored) or None,
        "steelyard": {**asdict(stored.checked), "sha256": stored.sha256},
    }


def list_json(page: JobPage[Any], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return one page of a list, as OpenAI's cursors want it."""
    return {
        "object": "list",
        "data": list(rows),
        "has_more": page.more,
        "first_id": rows[0]["id"] if rows else None,
        "last_id": rows[-1]["id"] if rows else None,
    }


def job_json(
    job: Job, progress: Progress, standing: Standing | None, curves: Curves
) -> dict[str, Any]:
    """Return a job in OpenAI's shape; what is ours stands under `steelyard`."""
    given = {name: job.hyperparameters.get(name, "auto") for name in _hyperparameters(job.method)}
    failed = progress.status is JobStatus.FAILED
    error = {"code": progress.error_code, "message": progress.error, "param": None}
    return {
        "id": job.id,
        "object": "fine_tuning.job",
        "created_at": int(job.created_at),
        "finished_at": None if progress.finished_at is None else int(progress.finished_at),
        "status": progress.status.value,
        "model": job.model,
        "fine_tuned_model": progress.fine_tuned_model or None,
        "training_file": job.training_file,
        "validation_file": job.validation_file or None,
        "hyperparameters": given,
        "method": {"type": job.method, job.method: {"hyperparameters": given}},
        "seed": job.seed,
        "suffix": job.suffix or None,
        "metadata": dict(job.metadata),
        "organization_id": ORGANIZATION,
        "result_files": [progress.result_file] if progress.result_file else [],
        "trained_tokens": curves.tokens if progress.status is JobStatus.SUCCEEDED else None,
        "estimated_finish": _estimated_finish(standing, curves),
        "error": error if failed else None,
        "integrations": [],
        "steelyard": {
            "kind": job.kind,
            "run": job.run,
            "dataset": job.dataset,
            "recipe": job.recipe,
            "state": standing.state.value if standing else None,
            "step": standing.step if standing else 0,
            "num_steps": standing.num_steps if standing else 0,
        },
    }


def event_json(job: Job, event: Event) -> dict[str, Any]:
    return {
        "id": f"ftevent-{job.id[6:]}-{event.id}",
        "object": "fine_tuning.job.event",
        "created_at": int(event.at),
        "level": event.level,
        "message": event.message,
        "type": "metrics" if event.data else "message",
        "data": dict(event.data),
    }


def checkpoint_json(job: Job, found: Checkpoint) -> dict[str, Any]:
    return {
        "id": f"ftckpt-{job.id[6:]}-{found.step}",
        "object": "fine_tuning.job.checkpoint",
        "created_at": int(found.at),
        "fine_tuning_job_id": job.id,
        "fine_tuned_model_checkpoint": found.name,
        "step_number": found.step,
        "metrics": {"step": found.step, **found.metrics},
    }


def run_json(run: str, standing: Standing, job: Job | None) -> dict[str, Any]:
    return {
        "id": run,
        **asdict(standing),
        "state": standing.state.value,
        "job": job.id if job else None,
    }


def details_json(found: RunDetails, job: Job | None) -> dict[str, Any]:
    return {
        **run_json(found.id, found.standing, job),
        "accounting": found.accounting,
        "plan": found.plan,
        "recipe": found.recipe,
        "summary": found.summary,
    }


def _hyperparameters(method: str) -> tuple[str, ...]:
    usual = ("n_epochs", "batch_size", "learning_rate_multiplier")
    return (*usual, "beta") if method == DPO else usual


def _estimated_finish(standing: Standing | None, curves: Curves) -> int | None:
    """Return when a run that goes on as its last steps went is done; None: nobody can tell."""
    if standing is None or standing.state is not RunState.RUNNING:
        return None
    last = list(curves.steps.items())[-PACE_STEPS:]
    times = [float(row.get("at") or 0.0) for _, row in last]
    if len(last) < 2 or not all(times):
        return None
    a_step_s = (times[-1] - times[0]) / (last[-1][0] - last[0][0])
    return int(times[-1] + a_step_s * max(0, standing.num_steps - last[-1][0]))
