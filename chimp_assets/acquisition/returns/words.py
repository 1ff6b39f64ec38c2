"""What labels have bought, in the sentence that every page and command says.

Belongs here: words. Does not belong here: the estimate (`savings`), where its numbers are kept (`database.status`).
"""

from __future__ import annotations

UNCOUNTED = 1e7
"""Labels from which on a number would only say that random asking never gets there."""


def saving_in_words(accuracy: float, labels: int, minutes: float, random_labels: float, low: float, high: float) -> str:
    """accuracy in [0, 1] after `labels` and `minutes`; random_labels: what asking at random would have needed for
    it, with limits of 95 in 100; inf where no number does."""
    interval = f"95 % interval: {_labels(low)} to {_labels(high)}"
    needed = (
        f"would have needed {_labels(random_labels)} ({interval})"
        if random_labels < UNCOUNTED
        else f"would hardly have got there ({interval})"
    )
    return (
        f"{accuracy:.0%} of the audit is named rightly after {labels:,} labels and {minutes:,.0f} minutes of answering;"
        f" asking at random {needed}."
    )


def _labels(n: float) -> str:
    return f"{n:,.0f}" if n < UNCOUNTED else "more than any number"
