"""All quantities of a case as one table, a row a quantity, for command line, panel and reports alike."""

from dataclasses import dataclass

from coronary_calcium.arteries import ARTERIES, UNASSIGNED
from coronary_calcium.formatting import number
from coronary_calcium.scoring.calcium_distribution import DENSITY_SCORE_SOURCE
from coronary_calcium.scoring.calcium_quantities import QUANTITIES, CaseQuantities, GroupQuantities, Value

TOTAL = "Total"


@dataclass(frozen=True)
class QuantityRow:
    """One quantity: its title with its unit, what it is and who defined it, and a value, or None, for each column."""

    title: str
    definition: str
    source: str
    values: tuple[Value | None, ...]
    digits: int = 1

    @property
    def cells(self) -> tuple[str, ...]:
        """The values as text; a dash where there is none."""
        return tuple(number(None if value is None else value.number, self.digits) for value in self.values)


@dataclass(frozen=True)
class QuantityTable:
    """The table: names of the columns, the total first, the rows, and sentences that belong below it."""

    columns: tuple[str, ...]
    rows: tuple[QuantityRow, ...]
    notes: tuple[str, ...]


def quantity_table(quantities: CaseQuantities) -> QuantityTable:
    """The table of a case; calcium without an artery has a column only where there is some."""
    names = [
        artery.name for artery in ARTERIES if artery is not UNASSIGNED or quantities.by_artery[UNASSIGNED.name].lesions
    ]
    groups = [quantities.total, *(quantities.by_artery[name] for name in names)]
    rows = [
        QuantityRow(
            f"{quantity.title} ({quantity.unit})" if quantity.unit else quantity.title,
            quantity.definition,
            quantity.source,
            tuple(group.values[quantity.name] for group in groups),
        )
        for quantity in QUANTITIES
    ]
    lesions = QuantityRow("Lesions", "Number of lesions", "", tuple(Value(group.lesions) for group in groups), 0)
    return QuantityTable((TOTAL, *names), (lesions, *rows, *_densities(groups)), tuple(quantity_notes(quantities)))


def _densities(groups: list[GroupQuantities]) -> list[QuantityRow]:
    def row(title: str, definition: str, source: str, name: str, digits: int) -> QuantityRow:
        known = [getattr(group, name) for group in groups]
        return QuantityRow(
            title, definition, source, tuple(None if value is None else Value(value) for value in known), digits
        )

    return [
        row("Mean HU", "Mean of the counted voxels", "", "mean_hu", 0),
        row("Peak HU", "Maximum of the counted voxels", "", "maximum_hu", 0),
        row("Density (mg/cm³)", "Mass / volume of the counted voxels", "", "density_mg_per_cm3", 0),
        row(
            "Density score",
            "Mean Agatston weight over the counted area, 1 to 4",
            DENSITY_SCORE_SOURCE,
            "density_score",
            2,
        ),
    ]


def quantity_notes(quantities: CaseQuantities) -> list[str]:
    """What a reader of the quantities must know, in sentences."""
    calibration, total = quantities.calibration, quantities.total
    notes = [
        f"Mass: {calibration.mg_per_cm3_hu:.3f} mg/cm³/HU, {calibration.source}"
        + ("." if calibration.calibrated else "; not calibrated.")
    ]
    integrated = total.values["integrated_mass_mg"]
    if integrated is not None and integrated.sd is not None:
        notes.append(f"Integrated mass in total: {number(integrated.number)} mg, SD {number(integrated.sd)} mg.")
    if total.not_measured:
        notes.append(
            f"{total.not_measured} of {total.lesions} lesions {_verb(total.not_measured, 'has', 'have')} no usable "
            "background; the integrated, "
            "volume-fraction and spatially weighted sums are without them."
        )
    uneven = sum(one.region is not None and not one.region.even for one in quantities.lesions)
    if uneven:
        notes.append(
            f"{uneven} of {total.lesions} lesions {_verb(uneven, 'lies', 'lie')} beside fat or lung, where the "
            "integrated mass is less exact."
        )
    measured = total.lesions - total.not_measured
    named = sum(one.region is not None and one.region.artery_named for one in quantities.lesions)
    if named:
        which = "" if named == measured else f"around {named} of {measured} lesions "
        notes.append(f"Spatially weighted: {which}without what the AI takes for another artery.")
    if quantities.diffusivity is not None:
        notes.append(
            f"{quantities.arteries_with_calcium} of 4 arteries "
            f"{_verb(quantities.arteries_with_calcium, 'holds', 'hold')} calcium; diffusivity index "
            f"{quantities.diffusivity:.2f}."
        )
    elif total.lesions:
        notes.append("Some calcium has no artery yet, so there is no diffusivity index.")
    return notes


def _verb(number: int | None, one: str, many: str) -> str:
    return one if number == 1 else many
