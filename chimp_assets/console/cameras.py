"""What `chimp cameras list` prints. Does not belong here: finding out (`archive.catalogue.cameras`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chimp_assets.console.output import say
from chimp_assets.console.tables import print_table
from chimp_assets.console.words import counted

if TYPE_CHECKING:
    from chimp_assets.archive.catalogue.cameras import CameraReport


def show_cameras(report: CameraReport) -> None:
    """Cameras, a line each; then doubts, proposals, deployments without video, and mappings."""
    rows = []
    for line in report.cameras:
        spellings = ", ".join(spelling for spelling in line.spellings if spelling != line.camera)
        days = [str(day or "") for day in (line.first_day, line.last_day)]
        rows.append([line.name, f"{line.n_videos:,}", *days, spellings])
    if rows:
        print_table(("camera", "videos", "first day", "last day", "also written"), rows)
    else:
        say("There are no cameras yet.")
    for line in report.cameras:
        for doubt in line.doubts:
            say(f"Check {line.name}: {doubt}.")
    for proposal in report.proposals:
        say(
            f"{proposal.camera} may be {proposal.into}, {proposal.why}:"
            f' chimp cameras map "{proposal.camera}" "{proposal.into}"'
        )
    for name in report.silent:
        say(f"The deployment of {name} has no video.")
    for mapping in report.mappings:
        who = f" by {mapping.by}" if mapping.by else ""
        why = f" ({mapping.why})" if mapping.why else ""
        into = f"{mapping.site}/{mapping.camera}" if mapping.site else mapping.camera
        day = f"{mapping.at:%Y-%m-%d}"
        say(f"Mapping {mapping.mapping_id}: {mapping.kind} {mapping.subject} is {into}; made{who} on {day}{why}.")
    if report.unknown:
        say(f"No camera is known for {counted(report.unknown, 'video', 'videos')}: no folder in the path names one.")
    if report.misplaced:
        say(
            f"{counted(report.misplaced, 'video is', 'videos are')} filed under a different camera than the path names:"
            " chimp cameras apply"
        )
