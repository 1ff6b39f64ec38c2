"""The kept indices are those of the view of pairs, and are replaced as a whole."""

from __future__ import annotations

import sqlalchemy as sa

from chimp_assets.insight.association.kept_edges import keep_edges
from chimp_assets.insight.association.network import network
from chimp_assets.insight.association.scope import Scope
from chimp_assets_tests.database.study_database import make_study, write_study


def test_kept_numbers_are_those_of_page_and_view(home, tmp_path):
    """A paper cites the table, a reviewer reads another number on the page or in v_dyad; also of stills, without a
    length of a frame."""
    write_study(home.database, make_study(3), tmp_path)
    with home.database.write() as conn:
        conn.execute(sa.text("UPDATE video SET frame_s = NULL, duration_s = NULL"))
    first, again = keep_edges(home.database), keep_edges(home.database)
    assert first.rows == again.rows > 0
    with home.database.read() as conn:
        kept = {
            (row.individual_a, row.individual_b): (row.x, row.n)
            for row in conn.execute(
                sa.text("SELECT * FROM v_association WHERE group_rule = 'video' AND period = 'all'")
            )
        }
        seen = {
            (row.individual_a, row.individual_b): (row.x, row.sri_denominator)
            for row in conn.execute(
                sa.text("SELECT * FROM v_dyad WHERE group_rule = 'video' AND period = 'all' AND x > 0")
            )
        }
        page = {(e.a, e.b): (e.x, e.days) for e in network(conn, Scope("clip", probability=0.0)).edges}
        at_once = {
            (row.individual_a, row.individual_b): row.x
            for row in conn.execute(
                sa.text("SELECT * FROM v_association WHERE group_rule = 'moment' AND period = 'all'")
            )
        }
        moment = {(e.a, e.b): e.x for e in network(conn, Scope("frame", probability=0.0)).edges}
    assert kept == seen == page
    assert at_once == moment != {}
