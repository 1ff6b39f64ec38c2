"""`python -m benchmarks.scale`: how the loader fares as an archive grows, for docs/operate/scale.md.

Each line is a fresh process that opens the generated archive and streams 200 batches of 32 frames with their boxes;
medians of five. CPU of a batch with a picture of 16 x 16 is what the rows cost; with one of 640 x 360, what training
pays. Belongs here: that table and its plot. Does not belong here: what is measured (`loading`).
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.support.archives import SIZES, archive
from benchmarks.support.harness import RUNS
from benchmarks.support.loading import BATCH, BATCHES, median_of

DOCS = Path(__file__).resolve().parents[1] / "docs"
_BEGIN, _END = "<!-- scale: begin -->", "<!-- scale: end -->"


def main(runs: int = RUNS) -> int:
    """Measure, write the table between its marks in docs/operate/scale.md, and docs/images/scale.png."""
    found = {}
    for name in SIZES:
        file = archive(name).file
        assert file is not None
        found[name] = (
            median_of(runs, "ours", file, 0),
            median_of(runs, "ours", file, 0, 640, 360),
            file.stat().st_size,
        )
    lines = [
        "| frames | database | open | first batch | CPU of a batch, rows and boxes | the same with pictures "
        "| memory, rows and boxes | with pictures |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, (rows, pictures, size) in found.items():
        lines.append(
            f"| {name} | {size / 1e9:.2f} GB | {rows['opened_s']:.2f} s | {pictures['first_batch_s']:.2f} s "
            f"| {rows['batch_cpu_ms']:.1f} ms | {pictures['batch_cpu_ms']:.1f} ms "
            f"| {rows['peak_mib']:.0f} MiB | {pictures['peak_mib']:.0f} MiB |"
        )
    table = "\n".join(lines)
    print(table)
    page = DOCS / "operate" / "scale.md"
    text = page.read_text(encoding="utf-8")
    head, _, rest = text.partition(_BEGIN)
    _, _, tail = rest.partition(_END)
    page.write_text(f"{head}{_BEGIN}\n{table}\n{_END}{tail}", encoding="utf-8")
    _plot({name: pictures for name, (_, pictures, _) in found.items()})
    return 0


def _plot(found: dict[str, dict[str, float]]) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    frames = [SIZES[name] / 1e6 for name in found]
    figure, both = plt.subplots(1, 2, figsize=(8, 3), dpi=100)
    for axes, key, title in (
        (both[0], "batch_cpu_ms", f"CPU of a batch of {BATCH}, ms"),
        (both[1], "peak_mib", f"memory of {BATCHES} batches, MiB"),
    ):
        values = [one[key] for one in found.values()]
        axes.plot(frames, values, "o-", color="tab:green")
        axes.set(xscale="log", xlabel="million frames", title=title, ylim=(0, max(values) * 1.3))
        axes.set_xticks(frames, list(found))
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(DOCS / "images" / "scale.png", metadata={"Software": None})


if __name__ == "__main__":
    sys.exit(main(*[int(runs) for runs in sys.argv[1:]]))
