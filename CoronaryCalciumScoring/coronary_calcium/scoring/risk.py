"""Risk categories of a total Agatston score, by the schemes in use."""

import bisect
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class RiskScheme:
    """Named categories of the unrounded score; their names speak of whole numbers, scores are not whole.

    Attributes
    ----------
    name : how the scheme is called on the command line and in results.
    categories : names, ascending; the first is that of a score of exactly 0.
    cuts : the scores that part them, but for 0.
    cut_is_below : whether a score equal to a cut belongs to the category below it, or above.
    rule : how a fractional score is given to a category, a sentence or two for the reader.
    source : where the categories come from.

    """

    name: str
    categories: tuple[str, ...]
    cuts: tuple[float, ...]
    cut_is_below: bool
    rule: str
    source: str

    @property
    def title(self) -> str:
        """How people read the scheme: its categories."""
        return ", ".join(self.categories)

    def category(self, agatston: float) -> str:
        """Name of the category of an unrounded total Agatston score; raises ValueError if it is negative or NaN."""
        if not agatston >= 0:
            raise ValueError(f"an Agatston score is 0 or more, not {agatston}")
        if agatston == 0:
            return self.categories[0]
        find = bisect.bisect_left if self.cut_is_below else bisect.bisect_right
        return self.categories[1 + find(self.cuts, agatston)]


# Each cut belongs to the category below it, as 10, 100 and 400 themselves do: 10.4 is "11-100".
FIVE_CATEGORIES = RiskScheme(
    name="five",
    categories=("0", "1-10", "11-100", "101-400", ">400"),
    cuts=(10.0, 100.0, 400.0),
    cut_is_below=True,
    rule="The unrounded score decides. 0 is exactly 0; a score above 0 up to 10 is 1-10, above 10 up to 100 is 11-100, "
    "above 100 up to 400 is 101-400, and anything above 400 is >400.",
    source="van Velzen et al., Radiology 2020;295:66-79, and Pieszko et al., Eur J Nucl Med Mol Imaging "
    "2022;49:4122-4132 (five categories by total Agatston score)",
)
FOUR_300 = RiskScheme(
    name="four-300",
    categories=("0", "1-100", "101-300", ">300"),
    cuts=(100.0, 300.0),
    cut_is_below=True,
    rule="The unrounded score decides. 0 is exactly 0; a score above 0 up to 100 is 1-100, above 100 up to 300 is "
    "101-300, and anything above 300 is >300.",
    source="in use for chest CT, with the cuts of CAC-DRS, where 100 and 300 themselves belong to the category above",
)
FOUR_400 = RiskScheme(
    name="four-400",
    categories=("0", "1-99", "100-399", ">=400"),
    cuts=(100.0, 400.0),
    cut_is_below=False,
    rule="The unrounded score decides. 0 is exactly 0; a score above 0 and below 100 is 1-99, from 100 and below 400 "
    "is 100-399, and anything from 400 on is >=400.",
    source="in use for cardiac CT, such as in Int J Cardiovasc Imaging 2022;38:2227-2234, "
    "doi:10.1007/s10554-022-02615-x (categories bounded by 0, 1, 100 and 400)",
)
RISK_SCHEMES = {scheme.name: scheme for scheme in (FIVE_CATEGORIES, FOUR_300, FOUR_400)}


def in_scheme_order(counts: Mapping[str, int]) -> dict[str, int]:
    """Counts by category, with all categories of the scheme that has them, ascending; of several schemes by name."""
    for scheme in RISK_SCHEMES.values():
        if set(counts) <= set(scheme.categories):
            return {name: counts.get(name, 0) for name in scheme.categories}
    return dict(sorted(counts.items()))


def risk_category(agatston: float) -> str:
    """Name of the default scheme's category; raises ValueError if the score is negative or NaN."""
    return FIVE_CATEGORIES.category(agatston)
