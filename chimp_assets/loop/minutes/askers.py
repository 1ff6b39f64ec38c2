"""Who asks in a plan, one after the other: what each asks, those behind it do not.

Belongs here: the askers and their order. Does not belong here: how each chooses (`acquisition` and the files beside
this one), the record that they share (`asking`), heads, phases and rounds (`loop.plan`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from chimp_assets.acquisition.minutes.is_it import IsItQuestions
from chimp_assets.acquisition.pairs import Pairs
from chimp_assets.acquisition.plan import Plan
from chimp_assets.acquisition.policy import Policy
from chimp_assets.acquisition.pool import LinearHead, TrackPool
from chimp_assets.database import schema as t
from chimp_assets.loop.evidence import Doubt
from chimp_assets.loop.minutes.asking import Asker, Asking, Items
from chimp_assets.loop.minutes.is_it import IsItOffer, is_it_to_ask
from chimp_assets.loop.minutes.pages import come_first, pages_to_ask
from chimp_assets.loop.minutes.promises import tend_promise
from chimp_assets.loop.pairs import doubts_to_ask, pairs_to_ask
from chimp_assets.loop.pool import TrackSnapshot

if TYPE_CHECKING:
    from chimp_assets.database.connection.engine import Database
    from chimp_assets.settings import Settings


def askers(
    db: Database,
    settings: Settings,
    snapshot: TrackSnapshot,
    policy: Policy,
    batch: int,
    head: LinearHead | None,
    *,
    names: Mapping[int, str],
    same: Mapping[int, int],
    offer: IsItOffer | None,
    planned: Callable[[TrackPool], Plan],
) -> list[Asker]:
    """Who asks, in turn.

    head: None where none is asked; names: of individuals, by key; same: merged individuals; offer: what volunteers may
    be asked; planned: the plan of single questions of what is left.
    """
    wanted = settings.acquisition
    pages_of = partial(pages_to_ask, db, head=head, worth=policy.worth, wanted=wanted, names=names, same=same)

    def promise(asking: Asking) -> None:
        asking.add_promise(tend_promise(db, settings, batch).items())

    def volunteers(asking: Asking) -> None:
        found = is_it_to_ask(offer, asking.pool, wanted)
        asking.items["is_it"] = _is_it_items(found)
        asking.take(found.track.tolist())

    def pages(asking: Asking) -> None:
        asking.add_pages(pages_of(asking.pool) if come_first(db) else [])

    def singles(asking: Asking) -> None:
        made = planned(asking.pool)
        asking.alone = made.rows
        track = asking.pool.track[made.rows].tolist()
        asking.items["names"] = Items(track, made.lanes, made.propensity.tolist(), made.reasons)

    def pages_of_what_is_left(asking: Asking) -> None:
        if not asking.pages:
            asking.add_pages(pages_of(asking.pool, alone=asking.alone))

    def volunteers_for_what_is_left(asking: Asking) -> None:
        if not asking.n("is_it"):
            asking.items["is_it"] = _is_it_items(is_it_to_ask(offer, asking.pool, wanted, asking.alone))

    def pairs(asking: Asking) -> None:
        found = pairs_to_ask(db, asking.pool, snapshot, asking.rows, policy, wanted.pairs_per_round)
        asking.items["pairs"] = _pair_items(asking.pool, found)

    def doubtful(asking: Asking) -> None:
        asked = set(asking.pool.track[asking.rows].tolist())
        asking.items["doubts"] = _doubt_items(doubts_to_ask(snapshot, asked, wanted.pairs_per_round))

    # Likely names are left to volunteers where there are some, and a page takes its tracks before they are asked alone:
    # it names more frames a second.
    first, then = [promise, volunteers, pages, singles], [pages_of_what_is_left, volunteers_for_what_is_left]
    return [*first, *then, pairs, doubtful]


def _is_it_items(found: IsItQuestions) -> Items:
    return Items(
        found.track.tolist(), [t.IS_IT] * len(found), found.propensity.tolist(), found.reasons,
        individual=found.individual.tolist(),
    )  # fmt: skip


def _pair_items(pool: TrackPool, found: Pairs) -> Items:
    """Pairs and doubts follow from the pool and the answers: nothing is drawn."""
    n = len(found.one)
    return Items(
        pool.track[found.one].tolist(), [t.PAIRS] * n, [1.0] * n, found.reasons, other=pool.track[found.other].tolist()
    )


def _doubt_items(found: list[Doubt]) -> Items:
    n = len(found)
    return Items(
        [one.track_id for one in found], [t.DISPUTED] * n, [1.0] * n, [one.reason for one in found],
        other=[one.other_track_id for one in found],
    )  # fmt: skip
