"""What `chimp doctor` prints. Does not belong here: looking (`operations.doctor`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chimp_assets.console.output import say, styled

if TYPE_CHECKING:
    from chimp_assets.operations.doctor import Finding

_VERDICT_STYLES = {"well": "green", "warning": "yellow", "ill": "red"}


def show_findings(findings: list[Finding]) -> None:
    """Verdict, part and remedy of each finding."""
    for finding in findings:
        verdict = (f"{finding.verdict:<7}", _VERDICT_STYLES[finding.verdict])
        say(styled(verdict, f" {finding.part:<9} {finding.says}"))
        if finding.remedy:
            say(styled((f"{'':18}{finding.remedy}", "dim")))
