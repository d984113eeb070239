"""Write docs/model-card.md from the shipped weights' model card: python Testing/tools/model_card_page.py."""

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CARD = ROOT / "CoronaryCalciumScoring" / "Resources" / "Weights" / "denseraunet.json"
PAGE = ROOT / "docs" / "model-card.md"
# Shown as text above a section's figures.
_TEXTS = ("what", "command", "targets")
_LEADS = {"targets": "Targets: "}
# What the card's figures are called on the page; the others by their names.
_LABELS = {
    "pixel_f1": "pixel F1",
    "pixel_f1_interval": "pixel F1, 95 % interval",
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


def page(card: dict[str, Any]) -> str:
    """The page, as Markdown."""
    training = card["training"]
    lines = [
        "# Model card",
        "",
        "Written by `python Testing/tools/model_card_page.py` from the model card beside the weights,",
        f"[`denseraunet.json`](../{CARD.relative_to(ROOT).as_posix()}), which has the recipes of every stage as well.",
        "",
        f"**{card['statement']}**",
        "",
        "| | |",
        "| --- | --- |",
        f"| name | {card['name']} |",
        f"| date | {card['date']} |",
        f"| sha256 | `{card['sha256']}` |",
        f"| input | {_input(card['input'])} |",
        f"| parts | {', '.join(name for name, used in card['architecture'].items() if used)} |",
        f"| last stage of training | {training['iterations']} iterations, {training['minutes']:g} minutes "
        f"({training['device']}, {training['processes']} processes) |",
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
    """Write the page."""
    PAGE.write_text(page(json.loads(CARD.read_text(encoding="utf-8"))), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
