"""Every statement behind the pages, read as SQL Server would; and answered by a real PostgreSQL."""

from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.individuals.merges import merge_individuals
from chimp_assets.database.labels.events import record_events
from chimp_assets.database.labels.references import set_references
from chimp_assets.database.people.users import PeopleError
from chimp_assets.insight import goal
from chimp_assets.insight.association.network_cache import NetworkCache
from chimp_assets.insight.association.scope import Scope
from chimp_assets.insight.association.together import TogetherQuery, clips_of, example_frames, together
from chimp_assets.insight.individuals import (
    decisions,
    directory,
    lookalikes,
    merge_preview,
    pictures,
    profile,
    sightings,
)
from chimp_assets.insight.labelling import progress
from chimp_assets_tests.database import t_sql
from chimp_assets_tests.database.world import event, make_world, predict, track


def ask_everything(db):
    """Every question of the pages, each with every condition that it can have; how many sightings there are."""
    with db.read() as conn:
        somebody = directory.find(conn, "FD")[0]
    set_references(db, somebody, [], "anna")
    with pytest.raises(PeopleError, match="no track of this individual"):
        set_references(db, somebody, [track(1, 0)], "anna")
    with db.read() as conn:
        user = conn.scalar(sa.select(s.app_user.c.user_id).where(s.app_user.c.name == "anna"))
        progress.day_of(conn, user, "anna", datetime(2020, 1, 1, tzinfo=UTC))
        progress.work_for(conn, user, True, True)
        progress.learning_progress(conn)
        progress.undersampled(conn)
        assert goal.archive_goal(conn) is None
        assert goal.promise_state(conn) is None
        directory.listing(conn, after="A")
        key, other = (directory.find(conn, code)[0] for code in ("FF", "FI"))
        profile.profile_of(conn, key)
        profile.profile_of(conn, other)
        sightings.sighting_summary(conn, key)
        pictures.gallery(conn, key, [track(1, 0)])
        decisions.decisions(conn, key, before=2**60)
        profile.biography_changes(conn, key)
        for rule in ("frame", "clip", "minutes"):
            day = date(2013, 5, 6)
            found = together(conn, TogetherQuery((key, other), Scope(rule, since=day, until=day, probability=0.5)))
            assert len(found.occasions) == 1
            assert example_frames(conn, found.occasions)[0][0].boxes
            clips_of(conn, found.occasions)
            everybody = NetworkCache().network(conn, Scope(rule, since=day, until=day, probability=0.5))
            assert len(everybody.edges) == 1
        pictures.photos(conn, key)
        decisions.asked_for_review(conn, [track(1, 0)])
        lookalikes.lookalikes(conn, key)
        directory.find_named(conn, "fifi")
        directory.key_of_code(conn, "FF")
        directory.names(conn)
        preview = merge_preview.preview_merge(conn, key, other)
        assert (preview.verified, preview.model) == (1, 1)
        merge_preview.preview_unmerge(conn, directory.key_of_code(conn, "GM"))
        return len(list(sightings.sightings(conn, key)))


def small_world(db):
    make_world(db)
    record_events(db, [event("identify", track(1, 0), "FF", seconds=2.0), event("identify", track(1, 1), "FI")])
    predict(db, track(2, 0), {"FF": 0.75})
    merge_individuals(db, "GM", "FD", force=True)


def test_the_pages_speak_t_sql(home):
    """A page that fails on one of three databases."""
    small_world(home.database)
    heard = []

    def listen(conn, element, several, parameters, options):
        heard.append((element, sorted(several[0]) if several else sorted(parameters) or None))

    sa.event.listen(sa.Engine, "before_execute", listen)
    try:
        assert ask_everything(home.database) == 2
    finally:
        sa.event.remove(sa.Engine, "before_execute", listen)
    said = [(element, names) for element, names in heard if not isinstance(element, str)]
    assert [found for element, names in said if (found := t_sql.faults_of(t_sql.compiled(element, names)))] == []
    assert len({str(element) for element, _ in said}) > 20


def test_the_pages_on_postgresql(postgresql):
    """What the parser takes, a server may still refuse."""
    db = postgresql.create_migrated()
    try:
        small_world(db)
        assert ask_everything(db) == 2
    finally:
        db.dispose()
