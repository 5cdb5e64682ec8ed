"""Writes `cost-model.md`: the formulas as the code has them, so that they cannot differ from it."""

from datetime import date

from steelyard.advise import DEFAULTS, Arm, Question, Scenario
from steelyard.advise.cells import Cell, walk
from steelyard.advise.inputs import in_groups
from steelyard.advise.solve import solve
from steelyard.cost import Book

INTRO = """# The cost model

`steelyard advise` multiplies what was measured by dated prices. This page has every formula, with
units, as the code computes them: an expression is written once, and the same expression gives the
value, derives the unit (adding dollars to dollars a month is an error) and prints itself.
`steelyard advise --why 'rag@api total'` prints them with the numbers of your scenario, down to the
source and date of each price; on the page Costs every number opens the same way.

## Ways

A way is an arm and what runs its model: `base` (closed book), `rag`, `tuned`, `tuned+rag`; `@api`
(a seller's model, by the token), `@gpu` (your own, on rented GPUs), `@server` (no language model:
the documents' own words). `tuned@api` needs `tuned_model`, an item of the price book, for sellers
price tuned models each in their own way.

## What the model assumes

* A month is 365/12 days, a GPU's month 730 hours. Growth compounds from the second month on.
* Machines are whole, at least one, and sized for the busiest hour at a stated utilisation.
* A GPU's questions a second fall with a question's tokens along a measured curve, straight in
  logarithms between its points. The default has two points of one 8B model; `throughput` in a
  scenario replaces them, `gpu_speed` scales them.
* A prompt's price follows its length where a seller has tiers, for each case's own length.
* What the answer cache serves costs no model call. It still takes a server.
* A model without retrieval is tuned again as often as its knowledge may be stale, but not more
  often than documents change. Half that age is the mean age of what it knows; a share of questions
  is about what has changed since, and has the quality `stale_quality`. Retrieval has no such share.
* People are paid: to set up, to look after it, to look at each tuning.

## Which way is chosen

1. Left out: ways without retrieval if `citations`, sellers' models if `private`, ways whose first
   word (p95) is later than `latency_target_ms`, ways below `min_quality`.
2. With `worth_usd` 0, the cheapest over the horizon of those within `tolerance` of the best quality
   that is left. With `worth_usd` > 0, the way with the most `worth_usd` × right answers − cost.

The same rule decides at the stated values, in every draw, and for every change that is tried.

## How sure

Each input with a range is drawn from a triangle over it, with its value as the mode; each from its
own seed, so the same draw meets every way, and moving one input leaves the draws of the others
alone. Measured qualities are drawn by resampling the questions of the report, in their clusters,
the same for all arms (above 300 clusters by the normal distribution that this converges to);
without a report from a normal distribution over the stated interval. The recommendation is what
most of 10,000 draws choose. Fewer than 95 of 100: it is called a tie.

A range may be skewed (one seller asks three times what the others ask), so a total at the stated
values may lie near the edge of the band of its draws.

* **Flips**: each input is moved alone over its allowed range, prices and waiting over a tenth to
  ten times, qualities over 0 to 1; the nearest value with another choice is shown.
* **Tornado**: each input at the ends of its own range, all others at their values.
* **Break-even**: totals over a million-fold range of volumes; the last crossing counts, for whole
  machines may cross several times. The band is of 200 draws.
* **Measure first**: assumed inputs, by how much the choice differs between their lowest and highest
  third of draws.
"""


def cost_model_page(note: str) -> str:
    """Return the page; `note` says that it is generated."""
    lines = [note + INTRO, "## Inputs\n"]
    for group, specs in in_groups().items():
        lines.append(f"### {group.value}\n\n| input | what | default | allowed | unit | source |")
        lines.append("|---|---|---|---|---|---|")
        for one in specs:
            allowed = f"{one.low:g} to {one.high:g}"
            row = (f"`{one.key}`", one.what, f"{one.default:g}", allowed, one.unit, one.source)
            lines.append(f"| {' | '.join(row)} |")
        lines.append("")
    lines.append("## Formulas\n\n| number | formula | unit |\n|---|---|---|")
    seen: set[str] = set()
    for cell in _cells():
        if cell.origin is None and cell.name not in seen:
            seen.add(cell.name)
            formula = cell.formula.replace("*", "\\*").replace("|", "\\|")
            lines.append(f"| {cell.name} | {formula} | {cell.unit} |")
    return "\n".join(lines) + "\n"


def _cells() -> list[Cell]:
    """Return every formula of every way, in a scenario that uses all of them."""
    scenario = Scenario.read(
        {
            "tuned_model": "gpt-6-luna", "cached_share": 0.5, "vector_db": "vectordb/pinecone",
            "embedding": "embedding/text-embedding-3-small",
        }
    )  # fmt: skip
    assert set(DEFAULTS.arms) == set(Arm)
    solved = solve(Question(scenario, DEFAULTS, Book(on=date(2026, 11, 21))))
    return list(walk([cell for one in solved.weighed for cell in (one.total, one.quality)]))
