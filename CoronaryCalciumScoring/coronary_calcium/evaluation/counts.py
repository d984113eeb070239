"""True positives, false positives and false negatives, and what follows from them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Counts:
    """How many pixels were marked rightly, wrongly, and not at all although they are calcium.

    Precision, recall and F1 (equation 5 of DenseRAUnet) are None where they are 0 / 0.
    """

    true_positive: int = 0
    false_positive: int = 0
    false_negative: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.true_positive + other.true_positive,
            self.false_positive + other.false_positive,
            self.false_negative + other.false_negative,
        )

    @property
    def precision(self) -> float | None:
        """The share of what was marked that is calcium."""
        return share(self.true_positive, self.true_positive + self.false_positive)

    @property
    def recall(self) -> float | None:
        """The share of the calcium that was marked."""
        return share(self.true_positive, self.true_positive + self.false_negative)

    @property
    def f1(self) -> float | None:
        """2 x precision x recall / (precision + recall)."""
        return share(2 * self.true_positive, 2 * self.true_positive + self.false_positive + self.false_negative)


def share(part: float, whole: float) -> float | None:
    """``part`` / ``whole``; None where there is nothing to have a share of."""
    return part / whole if whole else None
