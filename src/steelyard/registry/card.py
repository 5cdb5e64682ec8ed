"""A version's model card in Markdown: what it is, what it was made from, how it did."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from steelyard.core.registry import ARTEFACT_MARK, Bounds, Evaluation, Version

UNKNOWN = "not known"


def model_card(
    version: Version,
    *,
    evaluations: tuple[Evaluation, ...],
    recipe: str = "",
    files: Mapping[str, str] | None = None,
) -> str:
    """Return the card. `recipe` is the run's own YAML; `files` says what each exported one is."""
    sections = [
        _front(version),
        f"# {version.name}\n\n{_opening(version)}",
        _table("What it is bound to", _bound(version)),
        _table("What it was made from", _made(version)),
        _scores(evaluations),
        _load(version),
    ]
    if files:
        sections.append(_table("Files", files))
    if recipe:
        sections.append(f"## Recipe\n\n```yaml\n{recipe.strip()}\n```")
    return "\n\n".join(section for section in sections if section) + "\n"


def _front(version: Version) -> str:
    """Return the header that model hubs read."""
    lines = [
        "---",
        f"license: {json.dumps((version.licence or 'other').lower())}",
    ]  # as hubs write it
    if version.binding is not None:
        lines.append(f"base_model: {json.dumps(version.binding.base.name)}")
        lines.append("library_name: peft" if version.binding.method != "full" else "")
    lines += [f"tags: [steelyard, {version.kind}]", "---"]
    return "\n".join(line for line in lines if line)


def _opening(version: Version) -> str:
    made = datetime.fromtimestamp(version.created_at, UTC)
    return (
        f"Version `{version.id}` of kind *{version.kind}*, registered {made:%Y-%m-%d}. "
        f"Licence: {version.licence or UNKNOWN}."
    )


def _bound(version: Version) -> dict[str, str]:
    binding = version.binding
    if binding is None:
        return {}
    rows = {
        "base": binding.base.name,
        "SHA-256 of its weights": f"`{binding.base.weights_sha256}`",
        "of its tokenizer": f"`{binding.base.tokenizer_sha256}`",
    }
    if binding.base.template_sha256:
        rows["of its chat template"] = f"`{binding.base.template_sha256}`"
    if binding.layers:
        rows["layers of it"] = f"{binding.layers} from the bottom"
    if binding.labels:
        rows["labels"] = ", ".join(binding.labels)
    if binding.settings:
        rows["settings"] = f"`{json.dumps(dict(binding.settings), sort_keys=True)}`"
    return rows


def _made(version: Version) -> dict[str, str]:
    binding = version.binding
    if binding is None:
        return {}
    return {
        "method": binding.method,
        "tokens at most": str(binding.max_tokens or UNKNOWN),
        "training data (version)": f"`{binding.dataset}`" if binding.dataset else UNKNOWN,
        "run": f"`{binding.run}`" if binding.run else UNKNOWN,
        "SHA-256 of the recipe": f"`{binding.recipe_sha256}`" if binding.recipe_sha256 else UNKNOWN,
    }


def _scores(evaluations: tuple[Evaluation, ...]) -> str:
    if not evaluations:
        return "## How it did\n\nIt was not weighed."
    parts = ["## How it did\n\nWith 95 % intervals, beside what was served at the time."]
    for one in evaluations:
        when = datetime.fromtimestamp(one.at, UTC)
        rows = [
            f"| {name} | {score_text(score.candidate)} | {score_text(score.served)} "
            f"| {score_text(score.delta, signed=True)} | {score.n} | {score.verdict} |"
            for name, score in one.scores.items()
        ]
        told = [f"* {reason}" for reason in one.reasons]
        parts.append(
            f"### {one.set_name}, {one.num_questions} questions, {when:%Y-%m-%d}: "
            f"{'passed' if one.passed else 'refused'}\n\n"
            "| measure | this version | served then | difference | n | verdict |\n"
            "|---|---|---|---|---|---|\n" + "\n".join(rows) + "\n\n" + "\n".join(told)
        )
    return "\n\n".join(parts)


def _load(version: Version) -> str:
    told = "## How to load it\n\nIn Steelyard, in a home's `settings.toml`:\n\n"
    told += f"```toml\n{_toml(version.options)}\n```"
    if version.binding is not None and version.binding.method != "full":
        told += (
            "\n\nElsewhere, on the base of exactly the hashes above:\n\n```python\n"
            "from peft import PeftModel\n\n"
            'model = PeftModel.from_pretrained(base, "adapter")\n```'
        )
    return told


def score_text(bounds: Bounds, *, signed: bool = False) -> str:
    """Return a figure with its interval, as `0.512 [0.480, 0.544]`."""
    shown = ["?" if one is None else f"{one:+.3f}" if signed else f"{one:.3f}" for one in bounds]
    return f"{shown[0]} [{shown[1]}, {shown[2]}]"


def _toml(options: Mapping[str, Any]) -> str:
    """Return options as lines of a settings file; `adapter` stands for the exported folder."""
    tables: dict[str, list[str]] = {}
    for key, value in sorted(options.items()):
        group, name = key.split(".", 1)
        told = value.replace(ARTEFACT_MARK, "adapter") if isinstance(value, str) else value
        tables.setdefault(group, []).append(f"{name} = {json.dumps(told, ensure_ascii=False)}")
    return "\n\n".join(f"[{group}]\n" + "\n".join(lines) for group, lines in tables.items())


def _table(title: str, rows: Mapping[str, str]) -> str:
    if not rows:
        return ""
    lines = "\n".join(f"| {name} | {told} |" for name, told in rows.items())
    return f"## {title}\n\n| | |\n|---|---|\n{lines}"
