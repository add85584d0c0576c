"""The decision sheet of a conversion: what was read, kept, assumed and found, for the terminal, the file and a yaml."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from thesis_ml.config import to_plain
from thesis_ml.data.checks import MOST_NEGATIVE
from thesis_ml.data.convert.config import SPLITS, ConvertConfig
from thesis_ml.data.convert.parts import InputFile, PartOverview, name_files
from thesis_ml.data.convert.splits import SplitPlan, count_repeated
from thesis_ml.data.convert.tally import ClassTally
from thesis_ml.data.unlikely import describe_unlikely

Decisions = Mapping[str, Any]
"""The sheet of a conversion: plain values that yaml writes."""


def build_decisions(
    config: ConvertConfig,
    files: Sequence[InputFile],
    parts: Sequence[PartOverview],
    plan: SplitPlan,
    *,
    layout: str,
    warnings: Sequence[str],
) -> Decisions:
    """Return the sheet of a conversion.

    Args:
        config: The recipe.
        files: All input files.
        parts: What was counted of each part.
        plan: How the events are divided.
        layout: Of the output.
        warnings: What was found.
    """
    by_file = {file.path: ClassTally() for file in files}
    by_class = {file.class_name: ClassTally() for file in files}
    for part in parts:
        by_file[part.file.path] += part.tally
        by_class[part.file.class_name] += part.tally
    repeated = count_repeated(parts, plan)
    found = list(warnings)
    if repeated["events"]:
        found.append(f"{repeated['events']:,} events occur more than once, {repeated['in two splits']:,} in two splits")
    shown = name_files(files)
    found += describe_unlikely({shown[path]: tally.list_unlikely() for path, tally in by_file.items()})
    found += _list_doubts(by_class)
    n_objects = [tally.n_objects for tally in by_class.values()]
    missing = [name for name in n_objects[0] if not sum(one.get(name, 0) for one in n_objects)]
    if missing:
        found.append(f"no {', no '.join(missing)} is kept in any class; the selection may not fit these files")
    found += [
        f"{shown[path]}: none of its {tally.n_read:,} events is kept"
        for path, tally in by_file.items()
        if tally.n_read and not tally.n_kept
    ]
    found += [f"skipped: {file.error}" for file in files if file.error is not None]
    return {
        "output": config.output,
        "layout": layout,
        "inputs": [_describe_input(file, by_file[file.path]) for file in files],
        "classes": {name: _describe_class(tally) for name, tally in by_class.items()},
        "units": {"objects": config.unit, "MET": config.met.unit or config.unit, "output": "GeV and radian"},
        "splits": dict(zip(SPLITS, plan.counts, strict=True)),
        "repeated": repeated,
        "assumed": list(dict.fromkeys(text for file in files for text in file.assumptions)),
        "warnings": found,
        "recipe": {key: value for key, value in to_plain(config).items() if key not in ("inputs", "output")},
    }


def _list_doubts(by_class: Mapping[str, ClassTally]) -> list[str]:
    """Return warnings on weights that cancel."""
    labels = sum(by_class.values(), start=ClassTally()).weighed
    return [
        f"class {label}: {n_negative / n_events:.1%} of the weights are negative; a run refuses weights that cancel"
        for label, (n_events, n_negative, total) in labels.items()
        if n_negative / n_events > MOST_NEGATIVE or (n_negative and total <= 0)
    ]


def format_decisions(decisions: Decisions) -> str:
    """Return the sheet as yaml."""
    text: str = yaml.safe_dump(dict(decisions), sort_keys=False, allow_unicode=True, width=120)
    return text


def describe_decisions(decisions: Decisions) -> str:
    """Return the sheet in tables for a terminal."""
    lines = [f"{'class':<12} {'events':>10} {'kept':>10} {'weight < 0':>11} {'effective':>11} {'over the cap':>13}"]
    for name, one in decisions["classes"].items():
        lines.append(
            f"{name:<12} {one['events read']:>10,} {one['events kept']:>10,} {one['negative weights']:>11.1%} "
            f"{one['effective events']:>11,.0f} {one['objects over the cap']:>13.2%}"
        )
    steps = ("read", "selected", "after overlap", "in kept events", "kept")
    heads = " ".join(f"{step:>{max(len(step), 10)}}" for step in steps)
    lines.append(f"\n{'class':<12} {'object':<10} {heads}  {'pT [GeV]':<18} eta")
    for name, one in decisions["classes"].items():
        for kind, counts in one["objects"].items():
            low_high = {key: f"{counts[key][0]:.4g} to {counts[key][1]:.4g}" for key in ("pt", "eta") if key in counts}
            numbers = " ".join(f"{counts[step]:>{max(len(step), 10)},}" for step in steps)
            ends = f"{low_high.get('pt', ''):<18} {low_high.get('eta', '')}"
            lines.append(f"{name:<12} {kind:<10} {numbers}  {ends}".rstrip())
    lines.append("")
    lines.append("splits: " + ", ".join(f"{name} {count:,}" for name, count in decisions["splits"].items()))
    lines += [f"assumed: {text}" for text in decisions["assumed"]]
    lines += [f"warning: {text}" for text in decisions["warnings"]]
    return "\n".join(lines)


def _describe_input(file: InputFile, tally: ClassTally) -> dict[str, Any]:
    found: dict[str, Any] = {"class": file.class_name, "path": str(file.path)}
    if file.error is not None:
        return {**found, "skipped": file.error}
    return {**found, "sha256": file.file_hash, "events read": tally.n_read, "events kept": tally.n_kept}


def _describe_class(tally: ClassTally) -> dict[str, Any]:
    n_objects = sum(tally.n_objects.values())
    return {
        "events read": tally.n_read,
        "events kept": tally.n_kept,
        "negative weights": tally.n_negative / max(tally.n_kept, 1),
        "effective events": tally.effective_events,
        "objects over the cap": tally.n_dropped / max(n_objects + tally.n_dropped, 1),
        "objects": {
            name: {
                "read": tally.objects[name].n_read,
                "selected": tally.objects[name].n_selected,
                "after overlap": tally.objects[name].n_separate,
                "in kept events": tally.objects[name].n_in_events,
                "kept": count,
                **{key: [float(f"{end:.6g}") for end in ends] for key, ends in tally.ranges.get(name, {}).items()},
            }
            for name, count in tally.n_objects.items()
        },
    }
