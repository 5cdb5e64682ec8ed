"""A kept version → rows at a host → its job → a hosted model as a version that can be served."""

import asyncio
import re
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from steelyard.core.errors import InputError
from steelyard.core.registry import Version as ServedVersion
from steelyard.core.training import Kind
from steelyard.datasets.training import Version, find_version, read_kept, write_training
from steelyard.flows.registry import Draft, Registry
from steelyard.hosted import HostedClient, Submitted, save_submitted

POLL_S = 15.0
TRAIN, VALIDATION = "train", "validation"
FORMS: Mapping[Kind, str] = {
    Kind.CHAT: "openai-chat",
    Kind.PREFERENCE: "openai-preference",
    Kind.RETRIEVAL: "retrieval",
    Kind.READER: "squad",
    Kind.LABELLED: "labelled",
}

Told = Callable[[Submitted, str], None]


@dataclass(frozen=True, slots=True)
class Order:
    """What a host is asked for; `hyperparameters` are OpenAI's. `kind` is for another Steelyard,
    which trains more than language models."""

    train: str
    model: str
    validation: str = ""
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    suffix: str = ""
    kind: str = ""


async def submit(home: Path, client: HostedClient, order: Order) -> Submitted:
    """Send a version's rows and ask for a job; keep what is needed to follow it.

    `order.train` is a version, or a split of one as NAME@SPLIT; of a version that has splits,
    `train` is learnt from, and `validation` measured on if nothing else is named.

    Raises:
        NotFound, InputError: no such version, or rows that the host does not take.
        UpstreamError: the host fails.
    """
    version, split = await asyncio.to_thread(_found, home, order.train, TRAIN)
    if version.kind not in (Kind.CHAT, Kind.PREFERENCE) and not order.kind:
        raise InputError(
            f"{order.train!r} holds {version.kind} rows; OpenAI-shaped hosts learn from chat and "
            "preference rows. For another Steelyard say what to train by --kind"
        )
    held_out: tuple[Version, str] | None = None
    if order.validation:
        held_out = await asyncio.to_thread(_found, home, order.validation, VALIDATION)
    elif split == TRAIN and VALIDATION in version.splits:
        held_out = version, VALIDATION
    with tempfile.TemporaryDirectory() as folder:
        path = await asyncio.to_thread(_export, home, version, split, Path(folder))
        body = _body(order, version.kind) | {"training_file": await client.upload(path)}
        if held_out is not None:
            path = await asyncio.to_thread(_export, home, *held_out, Path(folder))
            body["validation_file"] = await client.upload(path)
    told = await client.create(body)
    job = Submitted(
        id=str(told["id"]),
        url=client.url,
        model=order.model,
        dataset=f"{version.id}@{split}" if split else version.id,
        submitted_at=time.time(),
        request=body,
        status=str(told.get("status", "queued")),
    )
    save_submitted(home, job)
    return job


async def look(home: Path, client: HostedClient, job: Submitted, *, told: Told) -> Submitted:
    """Ask once how a job stands; `told` gets every event that was not shown before."""
    found = await client.job(job.id)
    events = await client.events(job.id, after=job.last_event)
    for event in events:
        told(job, str(event.get("message", "")))
    error = found.get("error") or {}
    now = replace(
        job,
        status=str(found.get("status", job.status)),
        fine_tuned_model=str(found.get("fine_tuned_model") or ""),
        error=str(error.get("message") or "") if isinstance(error, Mapping) else str(error),
        last_event=str(events[-1]["id"]) if events else job.last_event,
    )
    if now != job:
        save_submitted(home, now)
    return now


async def follow(
    home: Path,
    client: HostedClient,
    job: Submitted,
    *,
    told: Told,
    every_s: float = POLL_S,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Submitted:
    """Ask until a job has ended; stopped and begun again, it goes on where it was."""
    job = await look(home, client, job, told=told)
    while not job.ended:
        await sleep(every_s)
        job = await look(home, client, job, told=told)
    return job


def take_over(
    home: Path, registry: Registry, job: Submitted, *, name: str, who: str
) -> ServedVersion:
    """Register a hosted model as a version that a home can serve.

    Raises:
        InputError: the job has not ended well.
    """
    if job.status != "succeeded" or not job.fine_tuned_model:
        why = f": {job.error}" if job.error else ""
        raise InputError(
            f"job {job.id!r} is {job.status}{why}; `steelyard tune poll {job.id}` follows it"
        )
    options = {"llm.url": job.url, "llm.model": job.fine_tuned_model}
    why = f"job {job.id} at {job.url}, trained on {job.dataset}"
    kept = registry.register(Draft(name or _name(job), options=options), who=who, why=why)
    save_submitted(home, replace(job, version=kept.version.id))
    return kept.version


def _found(home: Path, named: str, usual: str) -> tuple[Version, str]:
    """Return a version and the split of it that is meant, "" for all rows."""
    place, at, split = named.rpartition("@")
    version = find_version(home, place if at else named)
    chosen = split if at else (usual if usual in version.splits else "")
    if chosen and chosen not in version.splits:
        there = ", ".join(version.splits) or "none"
        raise InputError(f"version {version.name!r} has no split {chosen!r}; it has {there}")
    return version, chosen


def _export(home: Path, version: Version, split: str, folder: Path) -> Path:
    path = folder / f"{version.name}{f'-{split}' if split else ''}.jsonl"
    return write_training(path, read_kept(home, version, split=split), form=FORMS[version.kind])


def _body(order: Order, rows: Kind) -> dict[str, Any]:
    method = "dpo" if rows is Kind.PREFERENCE else "supervised"
    options = {"hyperparameters": dict(order.hyperparameters)} if order.hyperparameters else {}
    body: dict[str, Any] = {"model": order.model, "method": {"type": method, method: options}}
    if order.seed is not None:
        body["seed"] = order.seed
    if order.suffix:
        body["suffix"] = order.suffix
    if order.kind:
        body["steelyard"] = {"kind": order.kind}
    return body


def _name(job: Submitted) -> str:
    return re.sub(r"[^\w.-]+", "-", job.fine_tuned_model)[-64:].strip("-.") or job.id
