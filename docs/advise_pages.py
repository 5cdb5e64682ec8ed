"""Writes `published-comparison.md` and `capacity.md` from what the advisor computes."""

from collections.abc import Sequence
from datetime import date
from itertools import groupby

from steelyard.advise.capacity_inputs import SPECS
from steelyard.advise.capacity_limits import limits
from steelyard.advise.capacity_wire import amount, capacity_of
from steelyard.advise.curves import curve, curve_names
from steelyard.advise.published import Compared, published
from steelyard.advise.published_today import totals
from steelyard.advise.published_wire import in_unit, off_text
from steelyard.cost import Book

ON = date(2026, 11, 21)

PUBLISHED = """# The published comparison, line by line

"Fine-Tuning vs RAG: Which Is More Cost-Effective in 2026?" (March 2026) gives costs of training, of
answering, of retrieval, and of twelve months. Here each figure stands beside what its own inputs
give, by the formulas that `steelyard advise` uses. Prices that it does not state are the price
book's of {on}. `steelyard advise published` prints the table, `steelyard advise published
context-by-token` the formulas of one line, `--json` all of it.

What "its inputs give" is computed with every stated range at its low end, then at its high end.
`equal`: both ends, to 5 %. `within`: inside the published range, under the reading that is named;
another reading may not be. `covers`: the published figure is inside what the inputs allow.
`overlaps`: some of both. `outside`: nothing in common, by as much over the nearest published end.

**Of {num} published figures, {reproduced} come out of their own inputs in at least one reading.**
In none do: {never}. Each reading is a line. What to know:

* **300 to 500 USD a month for a million questions a day** is the price of an 8B model by the token,
  or of two small GPUs. It is not an H100 at the article's own price, which is {whole}.
* **40 to 80 % more for 500 tokens of context** holds only if all 200 tokens of a question are
  written ones, and then the 300 to 500 USD do not hold. The two figures cannot both be right.
* **The totals of retrieval take nearly the least of every part.** The support bot's parts add up to
  {bot} USD where {bot_said} are published.
* **The knowledge base by fine-tuning** is {kb} USD from its parts, not {kb_said}: its monthly cost
  would have to be three times a hundredth of the support bot's.
* **"Above 100,000 a day lean to fine-tuning" is no result of its figures**: by them fine-tuning is
  cheaper at any volume. What decides is what its figures leave out: people, staleness, quality.
"""

TODAY = """
## The two scenarios in the whole model

`steelyard advise --scenario published-support-bot` and `published-internal-kb` hold the article's
inputs, and what had to be assumed, each with its reason (`--json`, `scenario.inputs`). The model
counts a server, which the article does not, and whole GPUs; the article's one-time 200 USD of
tuning are in no input and so not here. Prices of {on}.

| scenario | way | published, USD | twelve months, USD | without the server | stands |
|---|---|---:|---:|---:|---|
"""

CAPACITY = """# Capacity

`steelyard advise capacity --set chunks=1e6 --set questions_per_s=100` says how many servers and
GPUs, how much memory and disk, and for each part the number at which one machine no longer does.
`--scenario NAME` takes a scenario's documents, questions and tokens; `--json` has every formula
with its inputs, sources and dates.

**What is measured, and what is not.** The curves were measured to 100,000 chunks, search time and
the lexical leg to 1,000,000 (table at the end). Beyond, they are stretched, and the output says how
far. More than one server for one copy has never been run: it is arithmetic. Nor has Milvus: the
index's protocol is made for it, and it is not built.

## How it is computed

* **Memory** is the process with its index, plus the graph once more (it is there twice while newer
  rows are merged into it). The answer cache comes on top. {memory_share} of a server's memory may
  be filled.
* **Search time** at p95 may be half of `search_target_ms`; the other half is left to queues. It is
  the processor time of encoder, HTTP and index, one after the other. Over HTTP, with other work on
  the machine, half of all searches took 5.6 ms or less in one run and 8.6 in another, at 16,000
  chunks, for which this says a p95 of {p95} ms: take it as the least.
* **What one server holds** is the least of what fits by memory, by disk and by search time. One
  copy lies on as many servers as hold it, filled one after the other.
* **A question's processor time** is the encoder's, HTTP's, the index's on each server that holds a
  part, and the reranker's where asked. A server's rate is its cores over that, at a load of
  `utilisation` or 1 - p95 / `search_target_ms`, whichever is less. For two cores and 16,000 chunks
  that is {rate} a second; 307 and 234 were measured, beside the load generator.
* **GPUs** come from the throughput that `steelyard advise` uses, at `utilisation`.
* Amounts that grow by so much a chunk are straight lines; times are straight in logarithms.
"""

GRIDS = (
    ("4 cores, 16 GB, 100 GB of disk", {}),
    ("64 cores, 512 GB, 8 TB of disk", {"cores": 64, "memory_gb": 512, "disk_gb": 8_000}),
)
SIZES = (1e4, 1e5, 1e6, 1e7, 1e8, 1e9)
RATES = (1, 100, 1e4, 1e5)


def published_page(note: str) -> str:
    found = published(Book(on=ON))
    by_key = {one.line.key: one for one in found}
    figures = dict.fromkeys(one.line.said for one in found)
    good = {one.line.said for one in found if one.verdict.reproduced}
    never = [one.line.key for one in found if one.line.said not in good]
    bot, kb = by_key["support-bot-rag"], by_key["internal-kb-tuning"]
    parts = [
        note + PUBLISHED.format(
            on=ON, num=len(figures), reproduced=len(good),
            never=", ".join(f"`{key}`" for key in never),
            whole=in_unit(by_key["inference-whole-gpu"].gives),
            bot=bot.gives, bot_said=bot.said, kb=kb.gives, kb_said=kb.said,
        )
    ]  # fmt: skip
    for section, lines in groupby(found, key=lambda one: one.line.section):
        parts.append(
            f"\n## {section}\n\n| figure | published | read as | its inputs give | stands |"
        )
        parts.append("|---|---:|---|---:|---|")
        rows = list(lines)
        parts += [_line(one) for one in rows]
        parts.append("")
        parts += [f"* `{one.line.key}`: {one.why}" for one in rows]
    parts.append(TODAY.format(on=ON).rstrip("\n"))
    for total in totals(Book(on=ON)):
        stands = f"{total.verdict} {off_text(total)}".strip()
        parts.append(
            f"| {total.scenario} | {total.option} | {total.said} | {total.total_usd:,.0f} | "
            f"{total.without_usd:,.0f} | {stands} |"
        )
    return "\n".join(parts) + "\n"


def _line(one: Compared) -> str:
    stands = f"{one.verdict} {off_text(one)}".strip()
    return _row([f"`{one.line.key}`: {one.what}", in_unit(one.said), one.line.reading,
                 str(one.gives), stands])  # fmt: skip


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def capacity_page(note: str) -> str:
    shares = {spec.key: spec.default for spec in SPECS}
    known = capacity_of({"chunks": 16_000, "cores": 2}).figures
    parts = [
        note + CAPACITY.format(
            memory_share=f"{shares['memory_share']:.0%}",
            p95=amount(known["search p95 of one question"].point),
            rate=amount(known["searches a second of a server"].point),
        )
    ]  # fmt: skip
    for machine, given in GRIDS:
        parts += _grid(machine, given)
    for machine, given in GRIDS:
        parts += _limits(machine, given)
    parts.append("\n## What was measured\n\n| curve | unit | what | points | source |")
    parts.append("|---|---|---|---|---|")
    for name in curve_names():
        one = curve(name)
        points = ", ".join(f"{value:g} at {chunks:,.0f}" for chunks, value in one.points)
        cells = (f"`{name}`", one.unit, one.origin.what, points,
                 f"{one.origin.source}, {one.origin.seen}")  # fmt: skip
        parts.append(_row(cells))
    parts.append("\n## What may be set\n\n| input | default | from | to | unit | what |")
    parts.append("|---|---:|---:|---:|---|---|")
    for spec in SPECS:
        parts.append(
            f"| `{spec.key}` | {spec.default:g} | {spec.low:g} | {spec.high:g} | {spec.unit} | "
            f"{spec.what} |"
        )
    return "\n".join(parts) + "\n"


def _grid(machine: str, given: dict[str, float]) -> list[str]:
    names = [f"{rate:,.0f} a second" for rate in RATES]
    lines = [
        f"\n## Servers, each of {machine}\n",
        _row(["chunks", "memory, GB", "disk, GB", "read on one, hours", "p95, ms", *names]),
        "|---:" * (5 + len(RATES)) + "|",
    ]
    for chunks in SIZES:
        found = [capacity_of({**given, "chunks": chunks, "questions_per_s": rate}).figures
                 for rate in RATES]  # fmt: skip
        figures = [
            amount(found[0][name].point)
            for name in (
                "memory for one copy", "disk for one copy", "hours to read everything, on one",
                "search p95 of one question",
            )
        ]  # fmt: skip
        lines.append(
            _row([f"{chunks:,.0f}", *figures, *(amount(one["servers"].point) for one in found)])
        )
    gpus = [amount(one.figures["GPUs"].point) for one in
            (capacity_of({"questions_per_s": rate}) for rate in RATES)]  # fmt: skip
    lines.append(_row(["GPUs for a language model", "", "", "", "", *gpus]))
    return lines


def _limits(machine: str, given: dict[str, float]) -> list[str]:
    found = capacity_of({**given, "chunks": 1e6})
    lines = [
        f"\n## Where one machine no longer does: {machine}\n",
        "With a million chunks, 100 ms for a search, and questions as by default.\n",
        _row(["part", "one machine does", "unit", "bound by", "then"]),
        "|---|---:|---|---|---|",
    ]
    lines += [
        _row([one.part, amount(one.most.point), str(one.most.unit), one.bound, one.moves_to])
        for one in limits(found)
    ]
    return lines
