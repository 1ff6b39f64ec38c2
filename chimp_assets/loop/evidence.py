"""Answers about pairs of tracks, and what follows from them and from names: contradictions, merges to propose.

Belongs here: reading the answers that stand, putting into words what `acquisition.curation` concludes, which answers to
look at again. Does not belong here: recording answers (`database.labels`), choosing new pairs (`acquisition.pairs`),
merging individuals, which only a person does (`database.individuals`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import sqlalchemy as sa

from chimp_assets.acquisition.curation import NOBODY, AnswerContradiction, Conclusions, curate
from chimp_assets.arrays import BoolArray, I32Array, I64Array
from chimp_assets.database import schema as t
from chimp_assets.database.labels.answers import effective_answers, effective_pair_answers
from chimp_assets.database.labels.kinds import NAMING_KINDS

_PART = 500


@dataclass(frozen=True)
class Evidence:
    """Answers that stand about pairs of live tracks, and the names of those tracks, as of one watermark.

    track: i64 [n], ascending, the tracks of all pairs; name: i32 [n], a row of `individual`, or NOBODY; named_seq: i64
    [n], when (0: never). individual: i64 [c], keys; code: anim_id and name of each; provisional: bool [c].
    pair: i64 [m, 2], rows of track; kind [m]: same, different or cannot_tell; seq: i64 [m]; corrected: bool [m], given
    by somebody who may correct others.
    """

    track: I64Array
    name: I32Array
    named_seq: I64Array
    individual: I64Array
    code: list[tuple[str, str | None]]
    provisional: BoolArray
    pair: I64Array
    kind: np.ndarray
    seq: I64Array
    corrected: BoolArray

    def label(self, individual: int) -> str:
        """What people call a row of individual."""
        anim_id, name = self.code[individual]
        return f"{name} ({anim_id})" if name else anim_id

    def concluded(self) -> Conclusions:
        """Groups, names that follow, contradictions and proposals, in rows of track and of individual."""
        same, different = self.pair[self.kind == "same"], self.pair[self.kind == "different"]
        return curate(len(self.track), self.name, same, different, self.provisional)


@dataclass(frozen=True)
class Doubt:
    """An answer to look at again: about a pair of tracks, or (other_track_id None) about the name of one; and why."""

    track_id: int
    other_track_id: int | None
    reason: str


@dataclass(frozen=True)
class NamedMergeProposal:
    """A working name and an individual that answers join: probably one animal. track_ids: the chain, end to end.

    Only proposed: `chimp individuals merge ANIM_ID INTO` does it, and `unmerge` undoes it.
    """

    anim_id: str
    into_anim_id: str
    into_name: str | None
    track_ids: tuple[int, ...]


def read_evidence(conn: sa.Connection, watermark_seq: int | None = None) -> Evidence:
    """Everything that stands about pairs of live tracks, as of a watermark of labels (None: now), merges as of now."""
    answer = effective_pair_answers(watermark_seq).subquery("answer")
    statement = sa.select(answer.c.track_id, answer.c.other_track_id, answer.c.kind, answer.c.seq, answer.c.role)
    for column in (answer.c.track_id, answer.c.other_track_id):
        track, video = t.track.alias(), t.video.alias()
        statement = statement.join(track, track.c.track_id == column).join(video, video.c.video_id == track.c.video_id)
        statement = statement.where(track.c.state == "live", video.c.state == "tracked")
    rows = conn.execute(statement.order_by(answer.c.seq)).all()
    pair_tracks = np.array([(row.track_id, row.other_track_id) for row in rows], np.int64).reshape(-1, 2)
    track_id = np.unique(pair_tracks)
    named, named_seq = _names_of(conn, track_id, watermark_seq)
    individual = np.unique(named[named >= 0])
    code, provisional = _people(conn, individual)
    name = np.full(len(track_id), NOBODY, np.int32)
    name[named >= 0] = np.searchsorted(individual, named[named >= 0])
    return Evidence(
        track=track_id,
        name=name,
        named_seq=named_seq,
        individual=individual,
        code=code,
        provisional=provisional,
        pair=np.searchsorted(track_id, pair_tracks).astype(np.int64).reshape(-1, 2),
        kind=np.array([row.kind for row in rows], dtype="U11"),
        seq=np.array([row.seq for row in rows], np.int64),
        corrected=np.array([row.role in t.CORRECTING_ROLES for row in rows], bool),
    )


def doubts(evidence: Evidence, conclusions: Conclusions) -> list[Doubt]:
    """The answers of each contradiction that a person who may correct should look at, the shortest chains first.

    First the pairs that nobody with that right has answered; where all are answered, the names at its ends, unless they
    were given after that: then people insist, and asking again would not help. No pair or track twice.
    """
    at = {(int(low), int(high)): i for i, (low, high) in enumerate(np.sort(evidence.pair, axis=1).tolist())}
    found: dict[tuple[int, ...], Doubt] = {}
    for wrong in sorted(conclusions.contradictions, key=lambda c: (len(c.tracks), c.tracks)):
        answers = [at[link] for link in _links(wrong, evidence, at)]
        open_ones = [i for i in answers if not evidence.corrected[i]]
        for i in open_ones:
            one, other = sorted(evidence.pair[i].tolist())
            found.setdefault((one, other), Doubt(
                int(evidence.track[one]), int(evidence.track[other]), _about_pair(wrong, evidence, i, len(answers))
            ))  # fmt: skip
        if open_ones:
            continue
        newest = int(evidence.seq[answers].max())
        for end in sorted({wrong.tracks[0], wrong.tracks[-1]}):
            if evidence.name[end] != NOBODY and evidence.named_seq[end] < newest:
                found.setdefault((end,), Doubt(int(evidence.track[end]), None, _about_name(wrong, evidence, end)))
    return list(found.values())


def merge_proposals(conn: sa.Connection) -> list[NamedMergeProposal]:
    """Working names that answers join to another individual, as of now; nothing is applied by itself."""
    evidence = read_evidence(conn)
    if not len(evidence.pair):
        return []
    return [
        NamedMergeProposal(
            evidence.code[p.provisional][0],
            *evidence.code[p.individual],
            tuple(evidence.track[list(p.chain)].tolist()),
        )
        for p in evidence.concluded().proposals
    ]


def contradictions_in_words(conn: sa.Connection) -> list[str]:
    """Each contradiction as of now in a sentence, with its tracks."""
    evidence = read_evidence(conn)
    if not len(evidence.pair):
        return []
    return [
        f"{_in_words(wrong, evidence)} (tracks {', '.join(map(str, evidence.track[list(wrong.tracks)].tolist()))})"
        for wrong in evidence.concluded().contradictions
    ]


def _links(wrong: AnswerContradiction, evidence: Evidence, at: dict[tuple[int, int], int]) -> Iterator[tuple[int, int]]:
    """The pairs whose answers cannot all be true: "same" along the chain, "different" between its ends."""
    chain = wrong.tracks
    ends = (min(chain[0], chain[-1]), max(chain[0], chain[-1]))
    for one, other in pairwise(chain):
        link = (min(one, other), max(one, other))
        if link in at and evidence.kind[at[link]] == "same":
            yield link
    if wrong.kind == "kept_apart":
        yield ends


def _in_words(wrong: AnswerContradiction, evidence: Evidence) -> str:
    one, other = (evidence.label(i) if i != NOBODY else None for i in wrong.individuals)
    if wrong.kind == "two_names":
        return f"Answers make one animal of {one} and {other}"
    if one is not None and one == other:
        return f"Two tracks are both named {one}, and somebody said that they are different animals"
    return "Answers make one animal of two tracks of which somebody said that they are different"


def _about_pair(wrong: AnswerContradiction, evidence: Evidence, answer: int, n_answers: int) -> str:
    said = str(evidence.kind[answer])
    return f"{_in_words(wrong, evidence)}: " + (
        f"one of {n_answers} answers is wrong; of these two somebody said “{said}”."
        if n_answers > 1
        else f"of these two somebody said “{said}”."
    )


def _about_name(wrong: AnswerContradiction, evidence: Evidence, end: int) -> str:
    return f"{_in_words(wrong, evidence)}: is this one {evidence.label(int(evidence.name[end]))}?"


def _names_of(conn: sa.Connection, track_id: I64Array, watermark_seq: int | None) -> tuple[I64Array, I64Array]:
    """The individual of each track, -1 where it has none, and the seq of that answer. i64 [n] each."""
    named, seq = np.full(len(track_id), -1, np.int64), np.zeros(len(track_id), np.int64)
    answer = effective_answers(watermark_seq).subquery("answer").c
    for low in range(0, len(track_id), _PART):
        for row in conn.execute(
            sa.select(answer.track_id, answer.individual_id, answer.seq).where(
                answer.track_id.in_(track_id[low : low + _PART].tolist()), answer.kind.in_(NAMING_KINDS)
            )
        ):
            place = int(np.searchsorted(track_id, row.track_id))
            named[place], seq[place] = row.individual_id, row.seq
    return named, seq


def _people(conn: sa.Connection, individual: I64Array) -> tuple[list[tuple[str, str | None]], BoolArray]:
    i = t.individual.c
    known = {
        row.individual_id: row
        for low in range(0, len(individual), _PART)
        for row in conn.execute(
            sa.select(i.individual_id, i.anim_id, i.name, i.provisional).where(
                i.individual_id.in_(individual[low : low + _PART].tolist())
            )
        )
    }
    rows = [known[int(key)] for key in individual]
    return [(row.anim_id, row.name) for row in rows], np.array([bool(row.provisional) for row in rows], bool)
