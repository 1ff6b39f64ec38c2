"""The first ten questions of a notebook, each with its code and plot.

Belongs here: words and code, as a researcher will change them. Does not belong here: files (`writing`), answers
(`opened`). The code of a cell is plain pandas and matplotlib; a test runs every one.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """A question in words, and the code that answers it."""

    words: str
    code: str


OPEN = Cell(
    "# {title}\n\nWritten by `chimp notebook`. Each cell asks the archive one question; change them, and add your own: "
    '`archive.questions()` lists those of the cookbook, `archive.sql("SELECT ...")` asks anything of the tables and '
    "views (sql/README.md). Nothing here writes to the archive.",
    "import matplotlib.pyplot as plt\n"
    "import pandas as pd\n\n"
    "from chimp_assets.home import Home\n"
    "from chimp_assets.insight.notebook.opened import OpenArchive\n\n"
    "archive = OpenArchive(Home.open({home!r}).database.replica)\n"
    "archive.questions().head()",
)

CELLS = (
    Cell(
        "## 1. Who was seen how often, month by month?\n\nVideos for each hour that cameras recorded: without effort "
        "a month with more cameras looks like one with more animals.",
        'seen = archive.ask("sightings_by_month")\n'
        'most = seen.groupby("anim_id")["n_videos"].sum().astype(float).nlargest(8).index\n'
        'table = seen[seen["anim_id"].isin(most)].pivot_table("videos_per_hour", "month", "anim_id", dropna=False)\n'
        "if len(table):\n"
        '    table.astype(float).plot(figsize=(9, 4), ylabel="videos an hour of recordings")\n'
        "table",
    ),
    Cell(
        "## 2. Who is resident?\n\nThe share of the days with recordings on which each individual was seen while alive "
        "and under study. Days in a row are alike: the true intervals are wider than these.",
        'resident = archive.ask("residency")\n'
        "if len(resident):\n"
        '    share = resident.set_index("anim_id")[["share_of_days", "low", "high"]].astype(float).iloc[::-1]\n'
        '    error = [share["share_of_days"] - share["low"], share["high"] - share["share_of_days"]]\n'
        '    share["share_of_days"].plot.barh(figsize=(8, 0.3 * len(share) + 1), xerr=error)\n'
        "resident",
    ),
    Cell(
        "## 3. How large are parties?",
        'parties = archive.ask("party_size_by_month", group_rule="day")\n'
        "if len(parties):\n"
        '    parties.set_index("month")["mean_named"].astype(float).plot(figsize=(9, 3), marker="o", ylabel="named")\n'
        "parties",
    ),
    Cell(
        "## 4. Who is with whom?\n\nThe simple ratio index of all pairs, over days. `v_association` has the errors of "
        "names taken out, once the nightly job has counted it.",
        "pairs = archive.sql(\n"
        '    "SELECT anim_id_a, anim_id_b, x, sri_denominator, sri FROM v_dyad"\n'
        "    \" WHERE group_rule = 'video' AND period_kind = 'all' AND x > 0\"\n"
        ")\n"
        "both = pd.concat([pairs, pairs.rename(columns={'anim_id_a': 'anim_id_b', 'anim_id_b': 'anim_id_a'})])\n"
        'matrix = both.pivot_table("sri", "anim_id_a", "anim_id_b").astype(float)\n'
        "if len(matrix):\n"
        "    fig, ax = plt.subplots(figsize=(7, 6))\n"
        '    image = ax.imshow(matrix, vmin=0, cmap="viridis")\n'
        "    ax.set_xticks(range(len(matrix)), matrix.columns, rotation=90)\n"
        "    ax.set_yticks(range(len(matrix)), matrix.index)\n"
        '    fig.colorbar(image, label="simple ratio index")\n'
        'pairs.sort_values("sri", ascending=False).head(20)',
    ),
    Cell(
        "## 5. How did the company of a mother change after a birth?\n\nThe page *Seen together*, *What changed* says "
        "which differences are more than chance, and how likely a change would have been found.",
        "births = archive.sql(\n"
        '    "SELECT c.anim_id, c.birth_date, m.anim_id AS mother FROM individual AS c"\n'
        '    " INNER JOIN individual AS m ON m.individual_id = c.mom_id"\n'
        '    " WHERE c.birth_date IS NOT NULL ORDER BY c.birth_date DESC"\n'
        ")\n"
        "change = pd.DataFrame()\n"
        "if len(births):\n"
        '    change = archive.ask("association_around_a_birth", infant=births["anim_id"].iloc[0], days=365)\n'
        '    told = change.dropna(subset=["change"]).set_index("partner")["change"].astype(float)\n'
        "    if len(told):\n"
        '        infant = births["anim_id"].iloc[0]\n'
        '        told.plot.barh(figsize=(8, 0.3 * len(told) + 1), title=f"around the birth of {infant}")\n'
        "change",
    ),
    Cell(
        "## 6. At which hours are they seen?\n\n`hours_from_utc` is the field's clock: 3 in Tanzania.",
        'hours = archive.ask("activity_by_hour", hours_from_utc=0)\n'
        "if len(hours):\n"
        '    hours.set_index("hour")["seconds_visible_per_hour"].astype(float).plot.bar(figsize=(9, 3))\n'
        "hours",
    ),
    Cell(
        "## 7. How much did each camera record?",
        'effort = archive.ask("effort_by_camera")\n'
        "if len(effort):\n"
        '    effort.groupby("camera")["hours_recorded"].sum().astype(float).plot.bar(figsize=(9, 3), ylabel="hours")\n'
        "effort",
    ),
    Cell(
        "## 8. How sure are the names?\n\nProbabilities of the names that the model gave, without those by people.",
        "names = archive.sql(\n"
        "    \"SELECT probability FROM v_track_identity WHERE source = 'model' AND status = 'identified'\"\n"
        ")\n"
        "if len(names):\n"
        '    names["probability"].astype(float).plot.hist(bins=20, range=(0, 1), figsize=(8, 3))\n'
        "names.describe()",
    ),
    Cell(
        "## 9. Where are animals that nobody knows?",
        'unknown = archive.ask("unknown_by_camera")\n'
        "if len(unknown):\n"
        '    unknown.set_index("camera")["share_unknown"].astype(float).plot.bar(figsize=(9, 3))\n'
        "unknown",
    ),
    Cell(
        "## 10. Who has not been seen for long?",
        'last = archive.ask("last_seen")\nlast',
    ),
)
