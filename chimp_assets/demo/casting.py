"""Who lives in the generated archive, who visits which camera when, and how each visitor moves.

Belongs here: the cast and its families, the plan of every clip, and an animal's route through a clip as poses.
Does not belong here: drawing (`faces`, `bodies`, `scene`) and files (`archive`).
All randomness comes from generators that the caller seeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np

from chimp_assets.demo.bodies import Pose
from chimp_assets.demo.faces import Appearance, aged, child_look, new_look
from chimp_assets.demo.truth import TrueIndividual

FIRST_DAY = date(2013, 5, 6)
SITES = ("north-stream", "fig-ridge")

# Fifi's Fred and his older sister are the family that the mission's query looks for; the others are invented.
# Order matters: a mother stands before her children, and the last of any cast is the newcomer.
_CAST = (
    ("FF", "Fifi", "F", "1985-07-01", None),
    ("FI", "Fred", "M", "2008-09-14", "FF"),
    ("MW", "Mwezi", "F", "1990-03-02", None),
    ("TU", "Tumbo", "M", "1979-11-20", None),
    ("FA", "Fanta", "F", "2001-01-08", "FF"),
    ("MA", "Mawingu", "M", "2009-06-30", "MW"),
    ("ZU", "Zuri", "F", "1995-05-17", None),
    ("KI", "Kivuli", "M", "1992-08-25", None),
    ("NY", "Nyota", "F", "1998-12-12", None),
    ("BA", "Baraka", "M", "1988-04-04", None),
    ("ZA", "Zawadi", "F", "2006-02-19", "ZU"),
    ("JA", "Jasiri", "M", "1996-10-09", None),
    ("LU", "Lulu", "F", "2000-07-23", None),
    ("NE", "Neema", "F", "2009-11-02", "NY"),
    ("SI", "Simba", "M", "1983-02-11", None),
    ("TA", "Tamu", "F", "1991-09-29", None),
)
_STRANGER = ("XA", "Xavi", "M", "1994-01-01", None)


@dataclass(frozen=True)
class CastMember:
    """One of the cast with its look at the time of the archive."""

    who: TrueIndividual
    look: Appearance


@dataclass(frozen=True)
class ClipPlan:
    """One clip to film. visitors: anim_ids; handheld: a person holds the camera."""

    index: int
    uri: str
    site: str
    camera: str
    camera_no: int
    day_no: int
    recorded_at: datetime
    seconds: float
    fps: int
    handheld: bool
    visitors: tuple[str, ...]
    tells_time: bool
    """Whether the container says when it was recorded; otherwise only the file name does."""
    turned: float = 0.0
    """Share of the picture's width by which somebody has turned the camera, to the right."""


@dataclass(frozen=True)
class Route:
    """An animal's route through a clip: one pose, foot point (x, y in pixels) for each picture."""

    poses: list[Pose]
    feet: np.ndarray


def cast(seed: int, individuals: int) -> list[CastMember]:
    """The cast, mothers before children, the newcomer last. 3 <= individuals <= 200. Raises ValueError."""
    if not 3 <= individuals <= 200:
        raise ValueError(f"a cast has 3 to 200 individuals, not {individuals}")
    rows: list[tuple[str, str, str, str, str | None]] = list(_CAST[: individuals - 1])
    for n in range(len(rows), individuals - 1):
        mother = rows[n // 2][0] if n % 3 == 0 and rows[n // 2][2] == "F" else None
        rows.append((f"Q{n}", f"Number {n}", "FM"[n % 2], f"{2005 if mother else 1980 + n % 22}-06-01", mother))
    rows.append(_STRANGER)
    looks: dict[str, Appearance] = {}
    members = []
    for n, (anim_id, name, sex, born, mom) in enumerate(rows):
        rng = np.random.default_rng([seed, 77, n])
        looks[anim_id] = child_look(looks[mom], rng) if mom in looks else new_look(rng)
        who = TrueIndividual(anim_id, name, sex, born, mom, newcomer=n == len(rows) - 1)
        years = (FIRST_DAY - date.fromisoformat(born)).days / 365.25
        members.append(CastMember(who, aged(looks[anim_id], years)))
    return members


def plan_clips(
    seed: int, members: list[CastMember], cameras: int, days: int, clips: int, seconds: float
) -> list[ClipPlan]:
    """The clips in order of camera, day and hour. Everyone but the newcomer comes at least twice if clips allow."""
    rng = np.random.default_rng([seed, 78])
    slots = [(i % cameras, (i // cameras) % days) for i in range(clips)]
    visitors = _visitors(rng, members, slots, days)
    plans = []
    for index, (camera_no, day_no) in enumerate(slots):
        day = FIRST_DAY + timedelta(days=day_no)
        # Clips of one camera and day lie hours apart, in order.
        turn, turns = index // (cameras * days), max(1, -(-clips // (cameras * days)))
        hour = 6.3 + 11.4 * (turn + float(rng.uniform(0.1, 0.9))) / turns
        at = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(seconds=round(hour * 3600))
        site, camera = SITES[camera_no * len(SITES) // cameras], f"cam{camera_no + 1:02d}"
        plans.append(
            ClipPlan(
                index=index,
                uri=f"{site}/{camera}/{day:%Y-%m-%d}/{camera}_{at:%Y%m%d_%H%M%S}.mp4",
                site=site,
                camera=camera,
                camera_no=camera_no,
                day_no=day_no,
                recorded_at=at,
                seconds=float(np.round(seconds * rng.uniform(0.8, 1.2), 1)),
                fps=25 if camera_no % 3 == 1 else 15,
                handheld=camera_no % 3 == 2,
                visitors=visitors[index],
                tells_time=index % 2 == 0,
            )
        )
    return plans


def _visitors(
    rng: np.random.Generator, members: list[CastMember], slots: list[tuple[int, int]], days: int
) -> list[tuple[str, ...]]:
    residents = [m.who for m in members if not m.who.newcomer]
    newcomer = next(m.who for m in members if m.who.newcomer)
    # Some are seen daily and some hardly ever: shares fall with rank, as in real archives.
    weight = 1 / np.arange(2, len(residents) + 2) ** 0.6
    turns = [residents[i] for _ in range(2) for i in rng.permutation(len(residents))]
    last_day = [i for i, slot in enumerate(slots) if slot[1] == days - 1]
    visits_of_newcomer = set(rng.permutation(last_day)[: max(2, len(last_day) // 2)].tolist())
    chosen = []
    for index in range(len(slots)):
        size = int(rng.choice([1, 2, 3, 4], p=[0.12, 0.4, 0.33, 0.15]))
        group: list[str] = [newcomer.anim_id] if index in visits_of_newcomer else []
        size = min(size, len(group) + len(residents))
        while len(group) < size:
            first = turns.pop(0) if turns else residents[rng.choice(len(residents), p=weight / weight.sum())]
            family = [r.anim_id for r in residents if r.mom == first.anim_id or r.anim_id == first.mom]
            for anim_id in [first.anim_id, *(family if rng.random() < 0.55 else [])]:
                if anim_id not in group and len(group) < size:
                    group.append(anim_id)
        chosen.append(tuple(group))
    return chosen


def routes(rng: np.random.Generator, plan: ClipPlan, looks: list[Appearance], width: int, height: int) -> list[Route]:
    """A route for each visitor; with several visitors at least two are in the picture together for a second or more."""
    n = round(plan.seconds * plan.fps)
    best, best_crowding = None, np.inf
    for _ in range(16):
        made: list[Route] = []
        for i, look in enumerate(looks):
            follows = made[i - 1] if i and rng.random() < 0.45 else None
            made.append(_route(rng, n, plan.fps, look, width, height, follows))
        x = np.array([route.feet[:, 0] for route in made]) / width
        inside = (x > 0.08) & (x < 0.92)
        # Animals keep some distance: a crowd is one blob to a motion detector, and to a person as well.
        near = [np.abs(x[i] - x[j]) < 0.22 for i in range(len(made)) for j in range(i)]
        crowding = float(np.mean(near)) if near else 0.0
        unmet = not inside.any(axis=1).all() or (len(made) > 1 and (inside.sum(axis=0) >= 2).sum() < plan.fps)
        if best is None or crowding + unmet < best_crowding:
            best, best_crowding = made, crowding + unmet
    assert best is not None
    return best


def _route(
    rng: np.random.Generator, n: int, fps: int, look: Appearance, width: int, height: int, follows: Route | None
) -> Route:
    """A walk with pauses. follows: walk behind this one, a body length or two apart."""
    depth = float(rng.uniform(0, 1))
    heading = 1 if rng.random() < 0.5 else -1
    speed = float(rng.uniform(0.11, 0.21)) * width / fps
    x = -0.12 * width if heading > 0 else 1.12 * width
    if rng.random() < 0.5:
        x = float(rng.uniform(0.1, 0.9)) * width
    wait = int(rng.uniform(0, 0.22) * n)
    if follows is not None:
        depth = float(np.clip((follows.feet[0, 1] / height - 0.66) / 0.31 + rng.normal(0, 0.12), 0, 1))
        heading = follows.poses[0].heading
        x = float(follows.feet[0, 0]) - heading * float(rng.uniform(0.2, 0.34)) * width
        wait = int(rng.uniform(0.1, 0.6) * fps)
    ground = (0.66 + 0.31 * depth) * height
    length = (0.205 + 0.125 * depth) * height * look.body

    sitting, stride, yaw, nod, arm = 0.0, float(rng.uniform(0, 6)), 40.0 * heading, 0.0, 0.0
    yaw_goal, pause_left, until_pause = yaw, 0, int(rng.uniform(0.8, 3.5) * fps)
    sits = rng.random() < 0.7
    poses, feet = [], np.zeros((n, 2))
    for k in range(n):
        walking = pause_left <= 0 and k >= wait
        if walking:
            until_pause -= 1
            if sitting < 0.3:
                x += heading * speed * (length / (0.27 * height))
                stride += 2 * np.pi * 1.5 / fps
            if until_pause <= 0 and 0.12 * width < x < 0.88 * width:
                pause_left, until_pause = int(rng.uniform(1.0, 2.8) * fps), int(rng.uniform(1.5, 4) * fps)
                sits = rng.random() < 0.7
        elif pause_left > 0:
            pause_left -= 1
            if pause_left == 0 and rng.random() < 0.3:
                heading = -heading
        goal = 1.0 if pause_left > 0 and sits else 0.0
        sitting += float(np.clip(goal - sitting, -3.0 / fps, 3.0 / fps))
        if rng.random() < 1.0 / fps:
            away = rng.random() < 0.12
            yaw_goal = heading * float(rng.uniform(95, 150) if away else rng.uniform(-15, 62))
        yaw += (yaw_goal - yaw) * min(1.0, 5.0 / fps)
        nod = 0.7 * float(np.sin(0.9 * k / fps + stride))
        arm = 0.5 + 0.5 * float(np.sin(5.5 * k / fps)) if sitting > 0.9 else max(0.0, arm - 3.0 / fps)
        roll = 6 * float(np.sin(1.3 * k / fps + 1.7 * depth))
        poses.append(Pose(length, heading, sitting, stride, yaw, roll, nod, arm))
        feet[k] = x, ground + 0.6 * np.sin(2 * stride)
    return Route(poses, feet)
