"""Heavy work that is no training, as a process of its own: `python -m chimp_assets.loop.heavy TASK [--home HOME]`.

Tasks: `embedder` fits the first embedder; `score` brings vectors and names of the champions to bundles that lack them;
`track` tracks bundles that wait for it; `retrack` tracks anew what another detector has tracked. Each takes many
bundles within a budget and may be killed at any moment and run again. The same command runs here, as a job of Azure ML
or as a pod of Kubernetes.

Belongs here: what a task does and reports. Does not belong here: the work (`embedders`, `rescore`, `waiting_tracks`),
trainings (`vision.train`), where a step runs (`chimp_assets.compute`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from chimp_assets import private_files
from chimp_assets.errors import ChimpError
from chimp_assets.home import Home
from chimp_assets.loop.heavy.step import TASKS
from chimp_assets.pipes_session import PipesSession, pipes_session

if TYPE_CHECKING:
    from chimp_assets.vision.tracking.bundle import BundleTracks


def main(arguments: Sequence[str] | None = None) -> int:
    """The entry point. Returns the exit code: 0, or 2 with a sentence on the error stream."""
    parser = argparse.ArgumentParser(prog="python -m chimp_assets.loop.heavy", description="Work on many bundles.")
    parser.add_argument("task", choices=TASKS)
    parser.add_argument(
        "--instead-of",
        type=int,
        default=0,
        help="embedder: model_id of the champion that it replaces; 0: there is none",
    )
    parser.add_argument("--home", help="folder of the home; without it the environment says (CHIMP_HOME)")
    asked = parser.parse_args(arguments)
    private_files.keep_private()
    try:
        with pipes_session() as session:
            _WORK[asked.task](Home.open(asked.home), session, asked)
    except ChimpError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _fit_embedder(home: Home, session: PipesSession, asked: argparse.Namespace) -> None:
    from chimp_assets.loop.bundle import champion_embedder
    from chimp_assets.loop.embedders import fit_first_embedder

    model = champion_embedder(home)
    # Asked again because nobody heard of its end, it must not have the archive embedded again.
    if (0 if model is None else model.model_id) == asked.instead_of:
        fit_first_embedder(home, session.progress)
        model = champion_embedder(home)
    assert model is not None
    session.done(
        {
            "model_id": model.model_id,
            "version": model.version,
            "checkpoint": str(model.checkpoint_uri),
            "checkpoint_hash": str(model.checkpoint_hash),
            "config": model.config,
        }
    )


def _score(home: Home, session: PipesSession, asked: argparse.Namespace) -> None:
    from chimp_assets.loop.rescore import rescore

    done = rescore(home, session.progress)
    for key in done.bundles:
        session.made("embeddings", key)
        if done.with_predictions:
            session.made("predictions", key)
    session.done({"bundles": len(done.bundles), "tracks": done.predicted_tracks, "bundles_waiting": done.left})


def _track(home: Home, session: PipesSession, asked: argparse.Namespace) -> None:
    from chimp_assets.loop.heavy.waiting_tracks import track_waiting

    def tell(key: str, tracked: BundleTracks) -> None:
        said = asdict(tracked)
        failed = said.pop("failed")
        said |= {"failed": len(failed), "failed_files": [{"file": uri, "error": error} for uri, error in failed]}
        session.made("tracks", key, {"dagster/row_count": said.pop("tracks"), **said})

    done = asdict(track_waiting(home, tell, session.progress))
    session.done({**done, "bundles_waiting": done.pop("left")})


def _retrack(home: Home, session: PipesSession, asked: argparse.Namespace) -> None:
    from chimp_assets.loop.retrack import retrack

    done = retrack(home, session.progress).as_dict()
    kept, failed = done.pop("kept_videos"), done.pop("failed")
    session.done(
        {
            "videos_waiting": done.pop("left"),
            **done,
            "videos_kept": len(kept),
            "failed": len(failed),
            "failed_files": [{"file": uri, "error": error} for uri, error in failed[:20]],
        }
    )


_WORK: dict[str, Callable[[Home, PipesSession, argparse.Namespace], None]] = {
    "embedder": _fit_embedder,
    "score": _score,
    "track": _track,
    "retrack": _retrack,
}


if __name__ == "__main__":
    sys.exit(main())
