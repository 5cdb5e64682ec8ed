"""What capacity is asked for: how much and how often, and the machine that it is to run on."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Self

from steelyard.advise.cells import Cell, Origin, leaf
from steelyard.advise.inputs import ASSUMED, BY_KEY, Group, Spec
from steelyard.advise.scenario import (
    GIVEN,
    THROUGHPUT,
    THROUGHPUT_SOURCE,
    Scenario,
    Throughput,
    number_of,
)
from steelyard.core.errors import InputError

MOST_CHUNKS = 1e9
_SERVER = "the price book's server/cpu-4"

SPECS: tuple[Spec, ...] = (
    Spec("documents", Group.DOCUMENTS, 1_000, 1, 1e9, "document", "documents", log=True),
    BY_KEY["tokens_per_document"],
    BY_KEY["chunk_tokens"],
    Spec("chunks", Group.DOCUMENTS, 0, 0, MOST_CHUNKS, "chunk",
         "chunks; 0: as many as documents and tokens make", log=True),
    BY_KEY["churn"],
    Spec("questions_per_s", Group.TRAFFIC, 1, 1e-6, 1e5, "question/s",
         "questions a second in the busiest hour", log=True),
    BY_KEY["hit_ratio"],
    Spec("kept_answers", Group.TRAFFIC, 10_000, 0, 1e8, "answer/server",
         "answers that a server's cache keeps", log=True, source="docs/settings.md, cache"),
    Spec("tokens_in", Group.TOKENS, 830, 0, 1e6, "token/question",
         "tokens that a language model reads a question; none, and no GPU is counted"),
    Spec("tokens_out", Group.TOKENS, 150, 0, 1e6, "token/question",
         "tokens that it writes a question"),
    Spec("search_target_ms", Group.NEEDS, 100, 20, 60_000, "ms",
         "what 95 of 100 searches may take at most", log=True),
    Spec("reranked", Group.NEEDS, 0, 0, 1, "1", "share of the questions that are reranked"),
    Spec("copies", Group.MACHINES, 1, 1, 100, "1",
         "copies of everything at least (two: one may fail)"),
    Spec("cores", Group.MACHINES, 4, 1, 1_024, "core/server", "cores of a server",
         source=_SERVER),
    Spec("memory_gb", Group.MACHINES, 16, 1, 65_536, "GB/server", "memory of a server", log=True,
         source=_SERVER),
    Spec("disk_gb", Group.MACHINES, 100, 1, 1e6, "GB/server", "disk of a server", log=True,
         source=_SERVER),
    Spec("network_gbit", Group.MACHINES, 1, 0.01, 1_000, "Gbit/server/s",
         "what a server's network carries in a second"),
    Spec("memory_share", Group.MACHINES, 0.7, 0.1, 1, "1",
         "share of the memory that may be filled; the rest is the system's and its page cache"),
    Spec("disk_share", Group.MACHINES, 0.8, 0.1, 1, "1", "share of the disk that may be filled"),
    BY_KEY["utilisation"],
    BY_KEY["gpu_speed"],
)  # fmt: skip
CAPACITY_BY_KEY: Mapping[str, Spec] = {spec.key: spec for spec in SPECS}


@dataclass(frozen=True, slots=True)
class Asked:
    """`values` and `sources` hold every input of `SPECS`."""

    values: Mapping[str, float]
    sources: Mapping[str, str]
    throughput: tuple[Throughput, ...] = THROUGHPUT
    throughput_source: str = THROUGHPUT_SOURCE

    @classmethod
    def read(cls, given: Mapping[str, Any], *, scenario: Scenario | None = None) -> Self:
        """Check and complete what was given: over a scenario's, over stated defaults.

        Raises:
            InputError: names every fault with its place, the allowed range and the repair.
        """
        faults: list[str] = []
        values = {spec.key: spec.default for spec in SPECS}
        sources = {spec.key: _source(spec) for spec in SPECS}
        for key, value in (_from_scenario(scenario) if scenario else {}).items():
            spec = CAPACITY_BY_KEY[key]
            values[key] = min(max(value, spec.low), spec.high)
            sources[key] = f"scenario {scenario.name!r}" if scenario else ""
        for key, raw in given.items():
            if isinstance(raw, Mapping):
                faults.append(f"{key}: a range is not taken here, give one number")
            elif key in CAPACITY_BY_KEY:
                values[key] = number_of(CAPACITY_BY_KEY[key], "value", raw, faults)
                sources[key] = GIVEN
            else:
                faults.append(_unknown(key))
        if not faults:
            faults += _too_many(values)
        if faults:
            raise InputError("capacity: " + "; ".join(faults), code="bad_capacity")
        if scenario is None:
            return cls(values, sources)
        return cls(values, sources, scenario.throughput, scenario.throughput_source)

    def __getitem__(self, key: str) -> Cell:
        spec = CAPACITY_BY_KEY[key]
        return leaf(key, self.values[key], spec.unit, Origin(spec.what, self.sources[key]))

    def chunks(self) -> Cell:
        """Return the chunks that were asked for, or that the documents make; at least one."""
        if self.values["chunks"] >= 1:
            return self["chunks"]
        return (self["documents"] * self["tokens_per_document"] / self["chunk_tokens"]).named(
            "chunks", "chunk"
        )


def _source(spec: Spec) -> str:
    return ASSUMED if spec.source == ASSUMED else f"{ASSUMED}, from {spec.source}"


def _from_scenario(scenario: Scenario) -> dict[str, float]:
    value = {key: one.value for key, one in scenario.values.items()}
    tokens_in = value["instruction_tokens"] + value["question_tokens"] + value["context_tokens"]
    return {
        **{key: value[key] for key in CAPACITY_BY_KEY if key in value},
        "questions_per_s": value["questions_per_day"] / 86_400 * value["peak_factor"],
        "tokens_in": tokens_in,
        "tokens_out": value["answer_tokens"],
    }


def _too_many(values: Mapping[str, float]) -> list[str]:
    made = values["documents"] * values["tokens_per_document"] / values["chunk_tokens"]
    if values["chunks"] < 1 and made > MOST_CHUNKS:
        return [
            f"documents {values['documents']:g} × tokens_per_document "
            f"{values['tokens_per_document']:g} / chunk_tokens {values['chunk_tokens']:g} are "
            f"{made:.3g} chunks, and this goes to {MOST_CHUNKS:g}: lower one, or give chunks"
        ]
    return []


def _unknown(key: str) -> str:
    near = get_close_matches(key, CAPACITY_BY_KEY, n=1)
    return f"{key}: unknown" + (f", did you mean {near[0]!r}?" if near else "")
