"""What `steelyard registry` shows: versions, their history, differences, lineage, faults."""

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.markup import escape
from rich.table import Table

from steelyard.cli import show
from steelyard.core.registry import Action, Evaluation, Event, Version
from steelyard.flows.lineage import Branch, Difference, weighed
from steelyard.flows.registry import Registry, Verified
from steelyard.registry import score_text

VERDICTS = {"better": "green", "worse": "red"}
NONE = "[dim]none[/]"


def show_versions(kept: Registry, versions: Sequence[Version]) -> None:
    if not versions:
        show.out.print("no version yet: steelyard registry register FOLDER --name NAME")
        return
    aliases = kept.store.aliases()
    rows = []
    for one in versions:
        held = aliases.get(one.kind, {})
        names = ", ".join(alias for alias, identity in held.items() if identity == one.id)
        binding = one.binding
        data = binding.dataset if binding is not None else ""
        rows.append((one.id, one.name, one.kind, names, _day(one.created_at), data))
    show.show_rows(("version", "name", "kind", "", "registered", "data"), rows)


def show_version(kept: Registry, version: Version) -> None:
    held = kept.store.aliases().get(version.kind, {})
    names = ", ".join(alias for alias, identity in held.items() if identity == version.id)
    show.out.print(f"[bold]{escape(version.name)}[/]  {version.id}  {version.kind}  {names}")
    binding = version.binding
    if binding is not None:
        layers = f", {binding.layers} layers" if binding.layers else ""
        show.out.print(
            f"{escape(binding.method)} on {escape(binding.base.name)}{layers}; run "
            f"{escape(binding.run or 'not told')}, data {escape(binding.dataset or 'not told')}, "
            f"licence {escape(version.licence or 'not told')}"
        )
    if (folder := kept.folder(version)) is not None:
        size_mb = kept.size_bytes(version) / 1e6
        show.out.print(f"{size_mb:.1f} MB in {escape(str(folder))}")
    show.out.print("[dim]options:[/]")
    for key, value in version.options.items():
        show.out.print(f"  {key} = {escape(str(value))}")
    for one in weighed(kept, version)[:3]:
        show_evaluation(one)
    show_history(kept.store.registry_history(version.id))


def show_evaluation(one: Evaluation) -> None:
    """Print how a version did beside what was served, and what the gate said."""
    mark = "[green]passed[/]" if one.passed else "[red]refused[/]"
    show.out.print(
        f"\n{mark}  {escape(one.set_name)}, {one.num_questions:,} questions, run {escape(one.run)}"
    )
    table = Table(box=None, pad_edge=False)
    table.add_column("measure", no_wrap=True)
    for name in ("this version", "served", "difference", "n"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for name, score in one.scores.items():
        style = VERDICTS.get(score.verdict, "dim")
        table.add_row(
            escape(name),
            escape(score_text(score.candidate)),
            score_text(score.served).split(" ")[0],
            escape(score_text(score.delta, signed=True)),
            f"{score.n:,}",
            f"[{style}]{escape(score.verdict)}[/]",
        )
    show.out.print(table)
    for reason in one.reasons:
        show.out.print(f"  {escape(reason)}")


def show_history(events: Sequence[Event]) -> None:
    if not events:
        show.out.print("nothing has happened yet")
        return
    show.out.print("")
    rows = [(one.seq, _when(one.at), one.who, _told(one), one.why) for one in events]
    show.show_rows(("", "when (UTC)", "who", "what", "why"), rows)


def show_event(event: Event) -> None:
    show.out.print(_told(event), markup=False)
    show.note("a running server follows within a second; others at their next start")


def show_difference(kept: Registry, both: tuple[Version, Version], found: Difference) -> None:
    names = tuple(f"{one.name} {one.id}" for one in both)
    rows = [(key, *map(_value, values)) for key, values in found.options.items()]
    rows += [(name, *map(_value, values)) for name, values in found.lineage.items()]
    if rows:
        show.show_rows(("", *names), rows)
    else:
        show.out.print("they differ in nothing but their names")
    one, other = (weighed(kept, version) for version in both)
    shared = [(a, b) for a in one for b in other if a.set_id == b.set_id][:1]
    for left, right in shared:
        show.out.print(
            f"\nover {escape(left.set_name)}, with 95 % intervals; for a paired comparison: "
            f"steelyard eval compare {left.run}:candidate {right.run}:candidate"
        )
        measures = [name for name in left.scores if name in right.scores]
        show.show_rows(
            ("measure", *names),
            [
                (
                    name,
                    score_text(left.scores[name].candidate),
                    score_text(right.scores[name].candidate),
                )
                for name in measures
            ],
        )
    if not shared:
        show.note("they were not weighed over the same questions, so no scores are compared")


def show_lineage(branch: Branch) -> None:
    _branch(branch)


def show_verified(found: Sequence[Verified], orphans: Sequence[str]) -> None:
    for one in found:
        mark = "[red]wrong[/]" if one.faults else "[green]whole[/]"
        show.out.print(f"{mark}  {one.version.id}  {escape(one.version.name)}")
        for fault in one.faults:
            show.out.print(f"       {escape(fault)}")
        for note in one.notes:
            show.out.print(f"       [dim]{escape(note)}[/]")
    for identity in orphans:
        show.note(f"note: artefact {identity[:12]} is no version's: a registration was interrupted")
    wrong = sum(1 for one in found if one.faults)
    show.out.print(f"{len(found):,} versions, {wrong:,} with faults")


def _branch(branch: Branch, joint: str = "", lead: str = "") -> None:
    """Print one thing after `joint`, and below it, after `lead`, what it was made from."""
    told = ", ".join(f"{key} {_value(value)}" for key, value in branch.tell.items() if value)
    missing = " [yellow](not here)[/]" if branch.missing else ""
    show.out.print(
        f"{joint}[cyan]{branch.what}[/] {escape(branch.name)}{missing}  [dim]{escape(told)}[/]"
    )
    for place, one in enumerate(branch.made_from, 1):
        ends = place == len(branch.made_from)
        _branch(one, lead + ("└─ " if ends else "├─ "), lead + ("   " if ends else "│  "))


def _told(event: Event) -> str:
    after, before = event.version or "no version", event.before or "no version"
    if event.action is Action.PROMOTE:
        forced = ", forced past the gate" if event.forced else ""
        return f"promoted {after} ({event.kind}) in place of {before}{forced}"
    if event.action is Action.ROLLBACK:
        return f"rolled back {event.kind} from {before} to {after}"
    if event.action is Action.WEIGH:
        passed = event.evaluation is not None and event.evaluation.passed
        return f"weighed {after}: {'passed' if passed else 'refused'}"
    return f"registered {after} ({event.kind})"


def _value(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def _day(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"


def _when(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}"
