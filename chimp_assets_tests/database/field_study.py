"""A small field study with life histories, and what its views must say, counted in plain Python.

Belongs here: the witness for the researcher's views. Does not belong here: the tests (`test_research_views`), making a
study and writing it (`study_database`). Nothing here reads the database.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import combinations, pairwise
from typing import Any

FRAME_S = 0.5


FRAMES = 20


AGES = {
    "F": (("infant", 0, 5), ("juvenile", 5, 9), ("adolescent", 9, 13), ("adult", 13, 999)),
    "M": (("infant", 0, 5), ("juvenile", 5, 9), ("adolescent", 9, 16), ("adult", 16, 999)),
}


# A mother (FF) with two sons, one an infant; a mother (MW) who dies and leaves an orphan; an immigrant (ZU), whose
# infant (BB) is born while cameras run; two animals called Gremlin; a male whose departure is known to half a year;
# NEW-9, who turns out to be Zuri; a stranger of unknown age.
LIVES: list[dict[str, Any]] = [
    {"anim_id": "FF", "name": "Fifi", "sex": "F", "birth_date": "1980-07-01"},
    {"anim_id": "FI", "name": "Fred", "sex": "M", "birth_date": "2010-03-01", "mom_id": "FF"},
    {"anim_id": "FD", "name": "Freud", "sex": "M", "birth_date": "2000-05-06", "mom_id": "FF"},
    {"anim_id": "MW", "name": "Mwezi", "sex": "F", "birth_date": "1990-03-02", "bd_min": "1988-01-01",
     "bd_max": "1991-12-31", "depart_date": "2013-05-09", "depart_type": "D"},
    {"anim_id": "MA", "name": "Mawingu", "sex": "M", "birth_date": "2009-06-30", "mom_id": "MW"},
    {"anim_id": "ZU", "name": "Zuri", "sex": "F", "birth_date": "1995-05-17", "entry_date": "2013-05-07",
     "entry_type": "I"},
    {"anim_id": "BB", "name": "Baraka", "sex": "M", "birth_date": "2013-05-10", "mom_id": "ZU"},
    {"anim_id": "G1", "name": "Gremlin", "sex": "F", "birth_date": "1970-11-01"},
    {"anim_id": "G2", "name": "Gremlin", "sex": "F", "birth_date": "2001-01-08", "mom_id": "G1"},
    {"anim_id": "TU", "name": "Tumbo", "sex": "M", "birth_date": "1979-11-20", "depart_date": "2013-05-20",
     "depart_date_error": 0.5, "depart_type": "P"},
    {"anim_id": "XX", "sex": "U"},
    {"anim_id": "NEW-9", "sex": "F"},
]  # fmt: skip


MERGED = {"NEW-9": "ZU"}


MEMBERS = [
    ("FF", "KK", "1980-07-01", None), ("FI", "KK", "2010-03-01", None), ("FD", "KK", "2000-05-06", None),
    ("MW", "KK", "1995-01-01", "2013-05-09"), ("ZU", "MM", "2013-05-07", "2013-05-10"),
    ("ZU", "KK", "2013-05-11", None), ("G1", "MM", "1990-01-01", None),
]  # fmt: skip


DAYS = [date(2013, 5, 6), date(2013, 5, 7), date(2013, 5, 9), date(2013, 5, 11), date(2013, 6, 1), date(2014, 1, 3)]


CAMERAS = [("a", "cam1"), ("a", "cam2"), ("b", "cam1"), (None, "cam3")]


DEPLOYMENTS = [("a", "cam1", date(2013, 5, 5), date(2013, 5, 12)), ("b", "cam1", date(2014, 1, 1), None)]


GAPS = [("a", None, date(2013, 5, 8), date(2013, 5, 8)), (None, None, date(2013, 5, 12), date(2013, 5, 13))]


@dataclass
class Video:
    """A video; at counts seconds from 1970."""

    video_id: int
    site: str | None
    camera: str
    day: date
    at: float
    duration: float = FRAMES * FRAME_S


@dataclass
class Track:
    """A track and who says what of it: name is the standing one (before merges), by is person, model or nobody."""

    track_id: int
    video: Video
    first: int
    last: int
    frames: list[int]
    person: str | None = None
    kind: str | None = None
    lane: str = "free"
    model: dict[str, float] | None = None
    unknown: bool = False

    @property
    def n(self) -> int:
        return len(self.frames)

    @property
    def span(self) -> tuple[float, float]:
        return self.first * FRAME_S, self.last * FRAME_S

    @property
    def who(self) -> tuple[str, float, str] | None:
        """anim_id as merged, probability, source; None where nobody knows."""
        if self.kind is not None:
            return (merged(self.person), 1.0, "person") if self.person else None
        if self.model and not self.unknown:
            name, probability = max(self.model.items(), key=lambda pair: pair[1])
            return merged(name), probability, "model"
        return None

    @property
    def animal(self) -> bool:
        return self.kind not in ("not_animal", "bad_box")


def merged(anim_id: str) -> str:
    return MERGED.get(anim_id, anim_id)


def years(later: date, earlier: date) -> float:
    return (later - earlier).days / 365.25


@dataclass
class Life:
    anim_id: str
    sex: str
    mom: str | None
    born: date | None
    bd_min: date | None
    bd_max: date | None
    entry: date | None
    depart: date | None
    depart_type: str | None
    error: float

    def alive(self, day: date) -> bool:
        begin = self.entry or self.bd_min or self.born or date.min
        return begin <= day <= (self.depart or date.max)


def _life(row: dict[str, Any]) -> Life:
    days = {k: date.fromisoformat(row[k]) if row.get(k) else None
            for k in ("birth_date", "bd_min", "bd_max", "entry_date", "depart_date")}  # fmt: skip
    return Life(
        row["anim_id"], row["sex"], row.get("mom_id"), days["birth_date"], days["bd_min"] or days["birth_date"],
        days["bd_max"] or days["birth_date"], days["entry_date"], days["depart_date"], row.get("depart_type"),
        row.get("depart_date_error", 0.0),
    )  # fmt: skip


@dataclass
class Study:
    """Everything that is known of a study. The methods give the rows that views must give, keyed for comparison."""

    videos: list[Video]
    tracks: list[Track]
    lives: dict[str, Life] = field(default_factory=lambda: {r["anim_id"]: _life(r) for r in LIVES})

    def __post_init__(self) -> None:
        self.people = sorted((name for name in self.lives if name not in MERGED), key=list(self.lives).index)
        self.days = sorted({v.day for v in self.videos})

    # -- what was seen ---------------------------------------------------------------------------------------------

    def named(self) -> list[tuple[str, float, str, Track]]:
        return [(*t.who, t) for t in self.tracks if t.who]

    def sightings(self) -> dict[tuple[str, int], dict[str, Any]]:
        groups: dict[tuple[str, int], list[tuple[float, str, Track]]] = defaultdict(list)
        for name, probability, source, t in self.named():
            groups[name, t.video.video_id].append((probability, source, t))
        found = {}
        for key, rows in groups.items():
            boxes = sum(t.n for _, _, t in rows)
            frames = min(boxes, max(t.last for *_, t in rows) - min(t.first for *_, t in rows) + 1)
            found[key] = {
                "first_s": min(t.span[0] for *_, t in rows),
                "last_s": max(t.span[1] for *_, t in rows),
                "seconds": frames * FRAME_S,
                "n_frames": frames,
                "n_tracks": len(rows),
                "min_p": min(p for p, *_ in rows),
                "mean_p": sum(p * t.n for p, _, t in rows) / boxes,
                "reviewed": int(any(source == "person" for _, source, _ in rows)),
                "video": rows[0][2].video,
            }
        return found

    def community(self, name: str, day: date) -> str | None:
        for who, comm, start, end in MEMBERS:
            if who == name and date.fromisoformat(start) <= day <= (date.fromisoformat(end) if end else date.max):
                return comm
        return None

    def age_class(self, sex: str, age: float) -> str | None:
        for name, low, high in AGES["M" if sex == "U" else sex]:
            if low <= age < high:
                return name
        return None

    def attendance(self) -> dict[tuple[str, str | None, str, str], tuple[int, float, int]]:
        found: dict[Any, list[float]] = {}
        for name in self.people:
            for site, camera, day in {(v.site, v.camera, v.day) for v in self.videos}:
                if self.lives[name].alive(day):
                    found[name, site, camera, str(day)] = [0, 0.0, 0]
        for (name, _), seen in self.sightings().items():
            v = seen["video"]
            row = found.setdefault((name, v.site, v.camera, str(v.day)), [0, 0.0, 0])
            row[0], row[1], row[2] = 1, row[1] + seen["seconds"], row[2] + 1
        return {key: (int(a), b, int(c)) for key, (a, b, c) in found.items()}

    def effort(self) -> dict[tuple[str | None, str, str], tuple[int, float, int, int]]:
        found: dict[Any, list[float]] = defaultdict(lambda: [0, 0.0, 0])
        for v in self.videos:
            row = found[v.site, v.camera, v.day]
            row[0], row[1] = row[0] + 1, row[1] + v.duration
        last = max([*self.days, *(d[2] for d in DEPLOYMENTS), *(d[3] for d in DEPLOYMENTS if d[3])])
        for site, camera, start, end in DEPLOYMENTS:
            for n in range(((end or last) - start).days + 1):
                found[site, camera, start + timedelta(days=n)][2] = 1

        def gap(site: str | None, camera: str, day: date) -> int:
            return int(any((g[0] is None or g[0] == site) and (g[1] is None or g[1] == camera) and g[2] <= day <= g[3]
                           for g in GAPS))  # fmt: skip

        return {(k[0], k[1], str(k[2])): (int(r[0]), r[1], int(r[2]), gap(*k)) for k, r in found.items()}

    # -- groups ----------------------------------------------------------------------------------------------------

    def party(self, v: Video) -> int:
        return min(w.video_id for w in self.videos if (w.site, w.camera, w.day) == (v.site, v.camera, v.day))

    def groups(self) -> dict[tuple[str, int], tuple[set[str], int]]:
        """Names in each group and tracks of animals without a name."""
        found: dict[tuple[str, int], tuple[set[str], list[int]]] = defaultdict(lambda: (set(), []))
        for t in self.tracks:
            if not t.animal:
                continue
            keys = [("video", t.video.video_id), ("day", self.party(t.video))]
            keys += [("frame", t.video.video_id * 4194304 + frame) for frame in t.frames]
            for key in keys:
                names, nameless = found[key]
                names.add(t.who[0]) if t.who else nameless.append(t.track_id)
        return {key: (names, len(nameless)) for key, (names, nameless) in found.items()}

    # -- associations ----------------------------------------------------------------------------------------------

    def pairs(self) -> Iterator[tuple[str, str]]:
        return combinations(self.people, 2)

    def dyad_videos(self) -> dict[tuple[str, str, int], tuple[float, float, float]]:
        """Two names in a video: seconds at once, gap, joint probability."""
        found: dict[Any, list[float]] = {}
        for (a, pa, _, ta), (b, pb, _, tb) in combinations(self.named(), 2):
            if ta.video is not tb.video or a == b:
                continue
            key = (*sorted((a, b), key=self.people.index), ta.video.video_id)
            gap = max(tb.span[0] - ta.span[1], ta.span[0] - tb.span[1], 0.0)
            at_once = 0.0
            if ta.span[0] <= tb.span[1] and tb.span[0] <= ta.span[1]:
                at_once = min(ta.span[1], tb.span[1]) - max(ta.span[0], tb.span[0]) + FRAME_S
            row = found.setdefault(key, [0.0, math.inf, 0.0])
            row[0], row[1], row[2] = row[0] + at_once, min(row[1], gap), max(row[2], pa * pb)
        return {key: (a, b, c) for key, (a, b, c) in found.items()}

    def dyad_days(self) -> dict[tuple[str, str, date], dict[str, Any]]:
        seen, together = defaultdict(set), self.dyad_videos()
        of = {v.video_id: v for v in self.videos}
        parties = defaultdict(set)
        for name, video_id in self.sightings():
            seen[name].add(of[video_id].day)
            parties[of[video_id].day, self.party(of[video_id])].add(name)
        found = {}
        for a, b in self.pairs():
            for day in self.days:
                if not (self.lives[a].alive(day) and self.lives[b].alive(day)):
                    continue
                sa_, sb = day in seen[a], day in seen[b]
                if sa_ or sb:
                    shared = [r for (x, y, v), r in together.items() if (x, y) == (a, b) and of[v].day == day]
                    found[a, b, day] = {
                        "seen_a": int(sa_),
                        "seen_b": int(sb),
                        "moment": int(any(r[0] > 0 for r in shared)),
                        "video": int(bool(shared)),
                        "day": int(any({a, b} <= names for (d, _), names in parties.items() if d == day)),
                        "seconds": sum(r[0] for r in shared),
                    }
        return found

    def dyads(self) -> dict[tuple[str, str, str, str], tuple[Any, ...]]:
        """(rule, period, A, B): x, yA, yB, yAB, units, both alive, seconds, SRI, HWI; asnipe's formulas."""
        rows = self.dyad_days()
        found = {}
        periods = {"all": self.days}
        for day in self.days:
            periods.setdefault(str(day)[:4], []).append(day)
            periods.setdefault(str(day)[:7], []).append(day)
        for period, days in periods.items():
            for a, b in self.pairs():
                alive = [d for d in days if self.lives[a].alive(d) and self.lives[b].alive(d)]
                if not alive:
                    continue
                of = [rows[a, b, d] for d in alive if (a, b, d) in rows]
                for rule in ("moment", "video", "day"):
                    x = sum(r[rule] for r in of)
                    y_a = sum(r["seen_a"] and not r["seen_b"] for r in of)
                    y_b = sum(r["seen_b"] and not r["seen_a"] for r in of)
                    y_ab = sum(r["seen_a"] and r["seen_b"] and not r[rule] for r in of)
                    sri = x / (x + y_ab + y_a + y_b) if of else None
                    hwi = x / (x + y_ab + (y_a + y_b) / 2) if of else None
                    found[rule, period, a, b] = (
                        x, y_a, y_b, y_ab, len(days), len(alive), sum(r["seconds"] for r in of), sri, hwi
                    )  # fmt: skip
        return found

    def mothers(self) -> dict[tuple[str, str], tuple[Any, ...]]:
        """(offspring, month): videos, videos with the mother, seconds, seconds with her, a sibling, an orphan."""
        sightings, pairs = self.sightings(), self.dyad_videos()
        of = {v.video_id: v for v in self.videos}
        found = {}
        for child in self.people:
            mom = self.lives[child].mom
            months = {str(of[v].day)[:7] for name, v in sightings if name == child}
            for month in months if mom else ():
                mine = {v: r for (name, v), r in sightings.items() if name == child and str(of[v].day)[:7] == month}
                with_her = [v for v in mine if (mom, v) in sightings]
                first, second = sorted((child, mom), key=self.people.index)
                seconds = sum(r["seconds"] for r in mine.values())
                together = min(seconds, sum(pairs[first, second, v][0] for v in with_her))
                siblings = [n for n in self.people if self.lives[n].mom == mom and n != child]
                depart = self.lives[mom].depart
                found[child, month] = (
                    len(mine), len(with_her), seconds, together, together / seconds,
                    int(any((n, v) in sightings for v in mine for n in siblings)),
                    int(depart is not None and depart < min(of[v].day for v in mine)),
                )  # fmt: skip
        return found

    def last_seen(self) -> dict[str, tuple[Any, ...]]:
        """Individual: first and last day, days seen, longest absence, days unseen, days with recordings since."""
        of = {v.video_id: v for v in self.videos}
        found = {}
        for name in self.people:
            days = sorted({of[v].day for n, v in self.sightings() if n == name})
            since = [d for d in self.days if not days or d > days[-1]]
            found[name] = (
                str(days[0]) if days else None, str(days[-1]) if days else None, len(days),
                max(((b - a).days for a, b in pairwise(days)), default=None),
                (self.days[-1] - days[-1]).days if days else None, len(since),
            )  # fmt: skip
        return found

    # -- trust -----------------------------------------------------------------------------------------------------

    def audit(self) -> list[tuple[Track, str | None, str | None]]:
        """Audit tracks that the head has scored: who it is, whom the head says."""
        rows = []
        for t in self.tracks:
            if t.lane == "audit" and t.model is not None and t.kind in ("identify", "unknown"):
                says = None if t.unknown else merged(max(t.model.items(), key=lambda pair: pair[1])[0])
                rows.append((t, merged(t.person) if t.person else None, says))
        return rows

    def confusion(self) -> Counter[tuple[str, str]]:
        return Counter((truth, says) for _, truth, says in self.audit() if truth and says)

    def quality(self) -> dict[tuple[str, str], tuple[int, int, int, int]]:
        """(slice kind, value): training tracks, audit tracks, names given, right."""
        found: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])

        def slices(name: str, v: Video | None) -> Iterator[tuple[str, str]]:
            life = self.lives[name]
            founder = name
            while self.lives[founder].mom:
                founder = self.lives[founder].mom
            yield "all", "all"
            yield "individual", name
            yield "sex", life.sex
            yield "matriline", founder
            if v:
                yield "camera", v.camera
                yield "year", str(v.day.year)
                named = self.age_class(life.sex, years(v.day, life.born)) if life.born else None
                if named:
                    yield "age_class", named

        for name in self.people:
            for key in slices(name, None):
                _ = found[key]
        for t in self.tracks:
            if t.kind == "identify" and t.lane != "audit":
                for key in slices(merged(t.person), t.video):
                    found[key][0] += 1
        for t, truth, says in self.audit():
            for key in slices(truth, t.video) if truth else ():
                found[key][1] += 1
                found[key][3] += truth == says
            for key in slices(says, t.video) if says else ():
                found[key][2] += 1
        return {key: (a, b, c, d) for key, (a, b, c, d) in found.items()}

    def problems(self) -> Counter[tuple[str, str, int, str | None]]:
        """(problem, individual, track, other individual), counted."""
        found: Counter[tuple[str, str, int, str | None]] = Counter()
        parties = defaultdict(set)
        for name, _, _, t in self.named():
            parties[self.party(t.video)].add(name)
        for name, _, _, t in self.named():
            life, day = self.lives[name], t.video.day
            if life.bd_min and day < life.bd_min:
                found["seen before it was born", name, t.track_id, None] += 1
            elif life.entry and day < life.entry:
                found["seen before it came", name, t.track_id, None] += 1
            elif life.depart and (day - life.depart).days > life.error * 365.25:
                found["seen after it departed", name, t.track_id, None] += 1
            here = parties[self.party(t.video)]
            for child in self.people:
                baby = self.lives[child]
                mom = self.lives.get(baby.mom or "")
                if mom is None or baby.born is None or not (baby.born <= day and years(day, baby.born) < 5):
                    continue
                if name == child and mom.alive(day) and mom.anim_id not in here:
                    found["an infant without its mother", child, t.track_id, mom.anim_id] += 1
                before_her_end = mom.depart is None or day <= mom.depart
                if name == mom.anim_id and before_her_end and baby.alive(day) and child not in here:
                    found["a mother without her infant", name, t.track_id, child] += 1
        for (a, _, _, ta), (b, _, _, tb) in combinations(self.named(), 2):
            if ta.video is not tb.video:
                continue
            if a == b and set(ta.frames) & set(tb.frames):
                found["one animal twice in one frame", a, min(ta.track_id, tb.track_id), a] += 1
            comm = self.community(a, ta.video.day), self.community(b, ta.video.day)
            if a != b and None not in comm and comm[0] != comm[1]:
                (x, tx), (y, _) = sorted(((a, ta), (b, tb)), key=lambda pair: self.people.index(pair[0]))
                found["two communities in one video", x, tx.track_id, y] += 1
        for ((a, _), ra), ((b, _), rb) in combinations(sorted(self.sightings().items(), key=lambda r: r[0][1]), 2):
            v, w = ra["video"], rb["video"]
            if a != b or v.day != w.day or (v.site, v.camera) == (w.site, w.camera):
                continue
            if v.at + ra["first_s"] <= w.at + rb["last_s"] and w.at + rb["first_s"] <= v.at + ra["last_s"]:
                first = min(t.track_id for n, _, _, t in self.named() if n == a and t.video is v)
                found["one animal in two places at once", a, first, a] += 1
        return found
