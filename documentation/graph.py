"""docs/reference/graph.md: every asset, check, job, sensor and schedule, and what each is for.

Belongs here: how they look on the page. Does not belong here: descriptions (`assets`, `checks`, `automation`).
"""

from __future__ import annotations

from typing import Any

from chimp_assets.definitions import build_definitions
from documentation.tables import first_paragraph, sentence, table

HEAD = """\
# The asset graph

What Dagster shows: what exists, what must hold, and what happens by itself. This page is written by `make docs` from
the descriptions of the definitions. How they work together: [architecture](../architecture.md).
"""


def page() -> str:
    """The page as Markdown."""
    repository = build_definitions().get_repository_def()
    graph = repository.asset_graph
    specs = {spec.key: spec for made in repository.assets_defs_by_key.values() for spec in made.specs}
    lines = [HEAD, "## Assets", ""]
    lines += table(
        ["asset", "group", "made from", "what"],
        [
            [
                f"`{key.to_user_string()}`",
                str(spec.group_name),
                ", ".join(f"`{parent.to_user_string()}`" for parent in sorted(graph.get(key).parent_keys)),
                _what(spec.description),
            ]
            for key, spec in sorted(specs.items(), key=lambda item: (item[1].group_name or "", item[0]))
        ],
    )
    checks = [spec for made in repository.asset_checks_defs_by_key.values() for spec in made.check_specs]
    unique = {(spec.asset_key, spec.name): spec for spec in checks}
    lines += ["", "## Checks", "", "A blocking check stops what follows in the run.", ""]
    lines += table(
        ["check", "of", "blocking", "what"],
        [
            [
                f"`{spec.name}`",
                f"`{spec.asset_key.to_user_string()}`",
                "yes" if spec.blocking else "",
                _what(spec.description),
            ]
            for _, spec in sorted(unique.items())
        ],
    )
    lines += ["", "## Jobs", ""]
    jobs = [job for job in repository.get_all_jobs() if not job.name.startswith("__")]
    lines += table(["job", "what"], [[f"`{job.name}`", _what(job.description)] for job in sorted(jobs, key=_name)])
    lines += ["", "## Sensors", "", "Each starts switched on. The interval is the least time between two ticks.", ""]
    lines += table(
        ["sensor", "asks for", "every", "what"],
        [
            [
                f"`{sensor.name}`",
                "" if sensor.name == "run_failed" else ", ".join(f"`{job.name}`" for job in _jobs_of(sensor)),
                f"{sensor.minimum_interval_seconds} s" if sensor.minimum_interval_seconds else "",
                _what(sensor.description),
            ]
            for sensor in sorted(repository.sensor_defs, key=_name)
        ],
    )
    lines += ["", "## Schedules", ""]
    lines += table(
        ["schedule", "asks for", "when", "what"],
        [
            [
                f"`{one.name}`",
                f"`{one.job_name}`",
                f"`{one.cron_schedule}` {one.execution_timezone}",
                _what(one.description),
            ]
            for one in sorted(repository.schedule_defs, key=_name)
        ],
    )
    return "\n".join(lines) + "\n"


def _what(description: str | None) -> str:
    return sentence(first_paragraph(description))


def _name(thing: Any) -> str:
    return str(thing.name)


def _jobs_of(sensor: Any) -> list[Any]:
    return list(sensor.jobs) if sensor.has_jobs else []
