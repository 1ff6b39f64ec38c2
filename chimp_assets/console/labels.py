"""What is printed about labels: doubtful ones, and how often people repeat their own answers.

Does not belong here: finding them (`vision.identity.label_quality`, `database.labels.agreement`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chimp_assets.console.output import say
from chimp_assets.console.tables import print_table

if TYPE_CHECKING:
    from chimp_assets.database.labels.agreement import SelfAgreement
    from chimp_assets.vision.identity.label_quality import DoubtfulLabel


def show_review(labels: list[DoubtfulLabel], n: int, agreement: list[SelfAgreement]) -> None:
    """Labels to look at again, of n in all, and each person's agreement with their own earlier answers."""
    if labels:
        rows = [
            (
                str(label.rank),
                str(label.track_id),
                f"{label.labelled} ({label.probability_labelled:.0%})",
                f"{label.suggested} ({label.probability_suggested:.0%})",
                f"{label.quality:.2f}",
                "yes" if label.likely_error else "",
            )
            for label in labels
        ]
        print_table(("", "track", "label", "models say", "quality", "likely error"), rows)
    say(f"Models that were not trained on them contradict {n:,} labels." if n else "No label is contradicted.")
    say(*(agreement_in_words(one) for one in agreement))


def agreement_in_words(one: SelfAgreement) -> str:
    """How often a person who was asked again gave the same answer, with the 95 % interval."""
    return (
        f"{one.annotator}, asked again, gave the same answer {one.n_same} of {one.n_repeats} times: "
        f"{one.share:.0%} ({one.ci_low:.0%} to {one.ci_high:.0%})."
    )
