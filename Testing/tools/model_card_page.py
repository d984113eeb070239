"""Write the shipped weights' figures into the documentation: python Testing/tools/model_card_page.py.

docs/model-card.md is written by hand but for what lies between its markers; docs/model-card-figures.md has every figure
of the model card with the command that repeats it. The pictures are those of model_card_pictures.py.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CARD = ROOT / "CoronaryCalciumScoring" / "Resources" / "Weights" / "denseraunet.json"
PAGE = ROOT / "docs" / "model-card.md"
FIGURES = ROOT / "docs" / "model-card-figures.md"
CAPTIONS = ROOT / "docs" / "pictures" / "hits-and-misses.json"
# The hand-written text says for which weights it was written.
_WRITTEN_FOR = re.compile(r"<!-- written for the weights ([0-9a-f]{8}) -->")
# Shown as text above a section's figures.
_TEXTS = ("what", "command", "targets")
_LEADS = {"targets": "Targets: "}
# What the card's figures are called on the page; the others by their names.
_LABELS = {
    "pixel_f1": "pixel F1",
    "pixel_f1_interval": "pixel F1, 95 % interval",
    "linear_kappa_interval": "linear kappa, 95 % interval",
    "lesion_sensitivity": "lesions found",
    "artery_right": "artery right",
    "cac_rate": "CAC rate",
    "cac_filter_rate": "CAC filter rate",
    "icc_2_1": "ICC(2,1)",
    "agatston_bias": "Agatston bias",
    "f1": "F1",
    "f1_paper": "F1, paper",
    "f1_interval": "F1, 95 % interval",
    "cac_rate_paper": "CAC rate, paper",
    "cac_filter_rate_paper": "CAC filter rate, paper",
}


def page(text: str, card: dict[str, Any], pictures: dict[str, Any]) -> str:
    """docs/model-card.md, whose ``text`` it is today, with what lies between its markers written anew."""
    [written_for] = _WRITTEN_FOR.findall(text)
    blocks = {
        "facts": _facts(card, written_for),
        "figures": _side_by_side(card["metrics"]),
        "pictures": _pictures(pictures, card["sha256"]),
    }
    for name, lines in blocks.items():
        start, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        before, _, rest = text.partition(start)
        _, _, after = rest.partition(end)
        text = "\n".join([before + start, "", *lines, "", end]) + after
    return text


def _facts(card: dict[str, Any], written_for: str) -> Iterator[str]:
    training = card["training"]
    iterations, minutes = _effort(training)
    yield from (
        "| | |",
        "| --- | --- |",
        f"| name | {card['name']} |",
        f"| date | {card['date']} |",
        f"| sha256 | `{card['sha256']}` |",
        f"| input | {_input(card['input'])} |",
        f"| parts | {', '.join(_parts(card['architecture']))} |",
        f"| trained for | {iterations} iterations in {minutes / 60:.1f} hours, all stages together |",
    )
    if not card["sha256"].startswith(written_for):
        yield ""
        yield f"The text of this page was written for earlier weights ({written_for}); its tables are of these."


def _parts(architecture: dict[str, Any]) -> list[str]:
    names = {
        "use_rau": "RAU",
        "use_edb": "EDB",
        "use_scse": "scSE",
        "artery_head": "artery head (not in the paper)",
    }
    return [names[part] for part, used in architecture.items() if used]


def _effort(training: dict[str, Any]) -> tuple[int, float]:
    """Iterations and minutes of a training and of all that its weights come from."""
    if "minutes_in_all" in training:
        return training["iterations_in_all"], training["minutes_in_all"]
    iterations, minutes = training["iterations"], training["minutes"]
    earlier = training.get("initialized_from")
    if not isinstance(earlier, dict):
        return iterations, minutes
    before = _effort(earlier)
    return iterations + before[0], minutes + before[1]


def _side_by_side(metrics: dict[str, Any]) -> Iterator[str]:
    """Real and simulated figures in one table; a dash where something was not measured."""
    simulated, inserted = metrics.get("test_patients", {}), metrics.get("inserted_lesions", {})
    read = {name: scan for name, scan in metrics.get("labeled_real_scans", {}).items() if isinstance(scan, dict)}
    certain, recovered, false = (
        sum(scan[name] for scan in read.values()) for name in ("certain_agatston", "recovered", "false_agatston")
    )
    right = sum("(right)" in scan["category"] for scan in read.values())
    read_f1 = metrics.get("lesion_rule", {}).get("labeled_real_scans", {}).get("pixel_f1", "-")
    rows = [
        ("scans", f"{len(read)}", f"{inserted.get('patients', '-')}", f"{simulated.get('patients', '-')}"),
        ("pixel F1", read_f1, inserted.get("pixel_f1", "-"), simulated.get("pixel_f1", "-")),
        ("of the true score found", f"{recovered:.0f} of {certain:.0f}", "-", "-"),
        ("lesions found", "-", *(_percent(side, "lesion_sensitivity") for side in (inserted, simulated))),
        (
            "marked falsely",
            f"{false:.0f} points",
            *(f"{side.get('false_lesions_per_scan', '-')} lesions per scan" for side in (inserted, simulated)),
        ),
        ("right artery", "-", *(_percent(side, "artery_right") for side in (inserted, simulated))),
        (
            "right risk category",
            f"{right} of {len(read)}",
            *(_percent(side, "cac_filter_rate") for side in (inserted, simulated)),
        ),
        ("linear kappa", "-", inserted.get("linear_kappa", "-"), simulated.get("linear_kappa", "-")),
    ]
    yield "| | real scans, read by eye | real scans, calcium inserted | simulated patients |"
    yield "| --- | --- | --- | --- |"
    for row in rows:
        yield f"| {' | '.join(map(str, row))} |"
    scored = metrics.get("real_scans", {}).get("agatston", {})
    if scored:
        yield ""
        each = ", ".join(f"{value:.3g} in {name}" for name, value in scored.items())
        yield f"Real scans without coronary calcium (the sharp kernel shows a line of about 57): {each}."


def _percent(side: dict[str, Any], name: str) -> str:
    return f"{100 * side[name]:.0f} %" if name in side else "-"


def _pictures(pictures: dict[str, Any], sha256: str) -> Iterator[str]:
    counts = pictures["lesions"]
    yield (
        f"Of {counts['found'] + counts['missed']} lesions of at least 5 points in {pictures['scans']} scans, "
        f"{counts['found']} were found and {counts['missed']} missed; {counts['false']} more were marked where there "
        "is no coronary calcium."
    )
    if pictures["weights"] != sha256:
        yield f"(With earlier weights, {pictures['weights'][:8]}.)"
    for picture in pictures["pictures"]:
        alternative, _, _ = picture["caption"].partition(" (")
        yield from ("", f"![{alternative}](pictures/{picture['file']})", "", f"*{picture['caption']}*")


def figures_page(card: dict[str, Any]) -> str:
    """docs/model-card-figures.md: every stage of the training, every figure of the card."""
    training = card["training"]
    lines = [
        "# The model card's figures",
        "",
        "Written by `python Testing/tools/model_card_page.py` from the model card beside the weights,",
        f"[`denseraunet.json`](../{CARD.relative_to(ROOT).as_posix()}), which has the recipes of every stage as well.",
        "What the figures mean is on the [model card](model-card.md).",
        "",
        "## Training",
        "",
        f"{training['data']}.",
        "",
        *(f"- {stage}" for stage in training.get("history", [])),
        *(["", training["backgrounds"]] if "backgrounds" in training else []),
        *(["", training["repair"]] if "repair" in training else []),
        "",
        "## Figures",
        "",
        "CAC rate and CAC filter rate are the paper's: the share of patients whose risk category is right, without and",
        "with post-processing; the latter is the score that the program gives.",
    ]
    for name, section in card["metrics"].items():
        lines += ["", f"### {_title(name)}", "", *_section(section)]
    return "\n".join(lines) + "\n"


def _input(facts: dict[str, Any]) -> str:
    low, high = facts["clip_hu"]
    return f"{facts['slices']} slices of {facts['pixels']} x {facts['pixels']} pixels, {low:g} to {high:g} HU"


def _label(name: str) -> str:
    return _LABELS.get(name, name.replace("_", " "))


def _title(name: str) -> str:
    return _sentence(name.replace("_", " "))


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _section(section: dict[str, Any]) -> list[str]:
    """Texts, then the section's own figures as a table, then each group of figures, one row per group."""
    lines: list[str] = []
    for name in _TEXTS:
        if name in section:
            text = section[name]
            lines += [f"`{text}`" if name == "command" else f"{_LEADS.get(name, '')}{_sentence(text)}.", ""]
    plain = {key: value for key, value in section.items() if key not in _TEXTS and not isinstance(value, (dict, list))}
    plain |= {key: value for key, value in section.items() if isinstance(value, list) and not _is_rows(value)}
    if plain:
        lines += [
            "| figure | value |",
            "| --- | --: |",
            *(f"| {_label(key)} | {_value(plain[key])} |" for key in plain),
            "",
        ]
    for key, value in section.items():
        if key == "confusion":
            lines += ["**True and found risk categories**", "", *_confusion(value), ""]
        elif isinstance(value, dict):
            lines += [f"**{_title(key)}**", "", *_groups(value), ""]
        elif _is_rows(value):
            lines += [*_table([dict(row) for row in value]), ""]
    return lines[:-1]


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _groups(value: dict[str, Any]) -> list[str]:
    """A group's figures, one row for each of its parts."""
    if any(isinstance(part, dict) for part in value.values()):
        rows = [
            {"group": name.replace("_", " ")} | _flat(part) for name, part in value.items() if isinstance(part, dict)
        ]
        rest = {name: part for name, part in value.items() if not isinstance(part, dict)}
        return [
            *([f"{_title(name)}: {_value(part)}." for name, part in rest.items()] + [""] if rest else []),
            *_table(rows),
        ]
    texts = [f"{_sentence(value['what'])}.", ""] if "what" in value else []
    texts += [f"`{value['command']}`", ""] if "command" in value else []
    return texts + _table([{name: part for name, part in value.items() if name not in _TEXTS}])


def _flat(part: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in part.items() if not isinstance(value, dict)}


def _table(rows: list[dict[str, Any]]) -> list[str]:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    head = ["| " + " | ".join(map(_label, columns)) + " |", "| " + " | ".join("---" for _ in columns) + " |"]
    return head + ["| " + " | ".join(_value(row.get(column, "")) for column in columns) + " |" for row in rows]


def _confusion(value: dict[str, Any]) -> list[str]:
    names = value["categories"]
    return _table(
        [{"true": name} | {f"found {found}": count for found, count in zip(names, row, strict=True)}
         for name, row in zip(names, value["true_by_row"], strict=True)]
    )  # fmt: skip


def _value(value: Any) -> str:
    if isinstance(value, list):
        return " to ".join(map(_value, value))
    return str(value).replace("|", "/")


def main() -> int:
    """Write both pages."""
    card = json.loads(CARD.read_text(encoding="utf-8"))
    pictures = json.loads(CAPTIONS.read_text(encoding="utf-8"))
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), card, pictures), encoding="utf-8")
    FIGURES.write_text(figures_page(card), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
