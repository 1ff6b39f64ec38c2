"""Every table, index, migration, view, query of the cookbook and statement of the product, read as SQL Server would."""

import re
from datetime import UTC, date, datetime

import numpy as np
import pytest
import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql.elements import ReleaseSavepointClause, SavepointClause

from benchmarks.support.nightly import archive_of_blocks
from chimp_assets.archive.catalogue.discover import discover
from chimp_assets.archive.ingest import decode_bundle
from chimp_assets.archive.video.originals import read_original
from chimp_assets.database import schema as s
from chimp_assets.database.files import label_files
from chimp_assets.database.files.effort_files import import_effort
from chimp_assets.database.files.individual_files import import_individuals
from chimp_assets.database.footage.pictures import PictureCounts, picture_counts
from chimp_assets.database.individuals import merges
from chimp_assets.database.labels import evidence
from chimp_assets.database.labels.answers import effective_answers, effective_pair_answers
from chimp_assets.database.labels.events import record_events
from chimp_assets.database.tracks.families import measured_mask, reserved_mask
from chimp_assets.database.tracks.found_anew import gone_answers, kept_videos, lost_answers, tracked_before
from chimp_assets.database.upkeep import invariants, migrations, views
from chimp_assets.database.upkeep.integrity import check_database
from chimp_assets.database.work import due as work
from chimp_assets.database.work import queue
from chimp_assets.database.work.drifted import acting_since
from chimp_assets.database.work.seconds import seconds_spent
from chimp_assets.database.work.watching import watch_due
from chimp_assets.exchange.imports.annotations import ReadOptions
from chimp_assets.exchange.imports.intake.taking import Wishes, take_in
from chimp_assets.home import Home
from chimp_assets.insight import status
from chimp_assets.insight.labelling.review import queues as review
from chimp_assets.loop import retrain
from chimp_assets.loop.evidence import merge_proposals
from chimp_assets.loop.ingest import ingest
from chimp_assets.loop.minutes.names import read_archive_names
from chimp_assets.loop.minutes.pages import barred, come_first
from chimp_assets.loop.minutes.prices import learned_prices
from chimp_assets.loop.minutes.worth import read_plan_ground
from chimp_assets.loop.plan import plan_queue
from chimp_assets.loop.pool import read_snapshot
from chimp_assets.loop.rescore import rescore
from chimp_assets.monitoring.alerts import expect, open_one, resolve
from chimp_assets.monitoring.answers.annotators import outcomes
from chimp_assets.monitoring.answers.model_drift import audit_order
from chimp_assets.monitoring.blocks import write_blocks
from chimp_assets.monitoring.changes import find_changes
from chimp_assets.monitoring.closing import close_alerts
from chimp_assets.operations.doctor import examine
from chimp_assets.settings import shipped_file
from chimp_assets.vision import train
from chimp_assets.vision.datasets.tracks import SqlTrackDataset
from chimp_assets.vision.detection.imported import imported_detector
from chimp_assets.vision.tracking.bundle import JudgedTrack, track_bundle
from chimp_assets.vision.tracking.retracking import retrack_video
from chimp_assets.vision.tracking.tracker import LinkedTrack
from chimp_assets_tests.archive.stills.photos import photo
from chimp_assets_tests.database import t_sql
from chimp_assets_tests.database.world import event, make_world, plan_pairs, track
from chimp_assets_tests.exchange.imports.pictures import add_pictures
from chimp_assets_tests.vision.animals import answer, make_animals, teaching_and_audit


def test_the_judge_knows_foreign_words_and_unknown_ones():
    """A judge that lets everything pass proves nothing."""
    for statement in (
        "SELECT a FROM t LIMIT 5",
        "SELECT a || b FROM t",
        "INSERT INTO t (a) VALUES (1) RETURNING a",
        "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN UPDATE SET a = 1;",
        "SELECT a FROM t WHERE",
        "FROBNICATE t",
    ):
        assert t_sql.faults_of(statement), statement
    assert t_sql.faults_of("SELECT TOP 5 a + N'LIMIT' FROM t WITH (READPAST) WHERE a = ?") == []


def test_every_table_and_index_is_t_sql():
    """A table that only two databases take splits the product."""
    for table in s.metadata.sorted_tables:
        for element in (CreateTable(table), *(CreateIndex(index) for index in table.indexes)):
            assert t_sql.faults_of(t_sql.compiled(element)) == [], table.name


def test_every_migration_is_t_sql():
    """A migration that stops in the middle of a customer's database."""
    statements = t_sql.migrations()
    assert len(statements) > len(s.metadata.tables)
    assert [(statement, why) for statement in statements if (why := t_sql.faults_of(statement))] == []


@pytest.mark.parametrize("name", views.VIEW_NAMES)
def test_every_view_is_t_sql(name):
    """One contract for researchers, not one for each database."""
    select = views.in_words_of("mssql", views.load_view(name))
    assert t_sql.faults_of(f"CREATE VIEW {name} AS\n{select}") == []


@pytest.mark.parametrize("name", sorted(file.stem for file in (shipped_file("sql") / "queries").glob("*.sql")))
def test_every_query_of_the_cookbook_is_t_sql(name):
    """A recipe is tried on whatever database the reader has."""
    query = sa.text(views.in_words_of("mssql", views.load_query(name)))
    assert t_sql.faults_of(t_sql.compiled(query)) == []


# The parser knows no rights, roles and rebuilding: these forms are written out, and nothing else passes.
_RIGHTS = r"(SELECT|INSERT|UPDATE|DELETE)(, (INSERT|UPDATE|DELETE))*"
_ADMINISTRATION = re.compile(
    r"CREATE ROLE (?P<role>chimp_\w+)"
    rf"|(GRANT|DENY) {_RIGHTS} ON (SCHEMA::dbo|dbo\.(?P<subject>\w+)) TO (?P<to>chimp_(reader|labeller|operator))"
    r"|IF EXISTS \(SELECT 1 FROM sys\.partitions WHERE object_id = OBJECT_ID\('(?P<table>\w+)'\) AND index_id = 1"
    r" AND data_compression = 0\)\s+ALTER TABLE (?P=table) REBUILD WITH \(DATA_COMPRESSION = PAGE\)"
    r"|CREATE NONCLUSTERED COLUMNSTORE INDEX ncci_(?P<stored>\w+)\s+ON (?P=stored) \((?P<columns>[\w, ]+)\)"
)


@pytest.mark.parametrize("file", sorted((shipped_file("sql") / "azure").glob("*.sql")), ids=lambda file: file.stem)
def test_what_only_sql_server_has_is_of_a_known_form_about_tables_that_are_there(file):
    """No server reads these files here: a misspelt table would be one more warning that nobody looks at."""
    text = re.sub(r"^--.*$", "", file.read_text(), flags=re.MULTILINE)
    for statement in (part.strip().rstrip(";") for part in re.split(r"^GO$", text, flags=re.MULTILINE)):
        form = _ADMINISTRATION.fullmatch(statement)
        if form is None:
            assert t_sql.faults_of(statement) == []
            continue
        for name in filter(None, (form["subject"], form["table"], form["stored"])):
            assert name in s.metadata.tables
        if form["columns"]:
            assert form["columns"].split(", ") == s.metadata.tables[form["stored"]].c.keys()


def test_the_options_of_an_upgrade_are_all_there_and_known():
    """A file that is not in the list is never applied."""
    files = {file.stem for file in (shipped_file("sql") / "azure").glob("*.sql")}
    assert files == {*migrations.SQL_SERVER_OPTIONS, "lock_upgrade"}


@pytest.fixture
def spoken():
    """Every statement that this process makes with SQLAlchemy while the test runs: (element, names of parameters)."""
    heard = []

    def listen(conn, element, several, parameters, options):
        heard.append((element, sorted(several[0]) if several else sorted(parameters) or None))

    sa.event.listen(sa.Engine, "before_execute", listen)
    yield heard
    sa.event.remove(sa.Engine, "before_execute", listen)


def test_what_is_said_of_pairs_is_t_sql(home, spoken):
    """The pages of volunteers and reviewers ask for these on every click."""
    db = home.database
    make_world(db)
    items = plan_pairs(db, [(track(1), track(2)), (track(1, 1), track(2, 1))])
    queue.claim(db, "rita", 2, 15.0, lanes=s.SIDE_LANES)
    told = event("same", track(1), other_track_id=track(2), item_id=next(iter(items.values())))
    record_events(db, [told, event("identify", track(1), "FF"), event("new_individual", track(2))])
    record_events(db, [event("retract", supersedes=told.annotation_id)])
    record_events(db, [event("same", track(1), other_track_id=track(2)), event("bad_box", track(1, 1))])
    with db.read() as conn:
        assert merge_proposals(conn)
        status.status_of(conn)
        invariants.items_that_should_not_wait(conn)
        work.queue_due(conn, home.settings)
        read_snapshot(conn, home.settings)
    said = [(element, names) for element, names in spoken if not isinstance(element, str)]
    wrong = [found for element, names in said if (found := t_sql.faults_of(t_sql.compiled(element, names)))]
    assert wrong == []
    assert sum("other_track_id" in str(element) for element, _ in said) > 10, "too little was said of pairs"


def test_what_is_said_of_bursts_is_t_sql(home, tmp_path, spoken, monkeypatch):
    """Pictures that are listed, decoded, tracked, deleted, moved, and seen again."""
    monkeypatch.setenv("CHIMP_DECODE__WORKERS", "0")
    folder = tmp_path / "pictures" / "cam1"
    for n in range(4):
        photo(folder / f"{n}.jpg", f"2023:05:06 07:08:{n:02d}")
    filmed = Home.open(home.settings.home, archive_url=str(folder.parent), pictures={"crops": ["cam1/"]})
    for change in (
        lambda: None,
        lambda: (folder / "1.jpg").unlink(),
        lambda: (folder / "0.jpg").rename(folder / "moved.jpg"),
        lambda: photo(folder / "2.jpg", "2023:05:06 07:08:02", seed=9),
    ):
        change()
        for key in [*discover(filmed.database, filmed.archive, filmed.settings).new_bundles, "cam1-0001"]:
            decode_bundle(filmed.database, filmed.archive, filmed.store, key, filmed.settings)
            track_bundle(filmed.database, filmed.store, key, filmed.settings)
    read_original(filmed.database, filmed.archive, 1, 0.0, filmed.settings.decode)
    with filmed.database.read() as conn:
        assert picture_counts(conn) == PictureCounts(files=5, bursts=1, in_bursts=4, gone=2)
    filmed.database.dispose()
    others = (str, SavepointClause, ReleaseSavepointClause)
    said = [(element, names) for element, names in spoken if not isinstance(element, others)]
    wrong = [found for element, names in said if (found := t_sql.faults_of(t_sql.compiled(element, names)))]
    assert wrong == []
    assert sum("burst_video_id" in str(element) for element, _ in said) > 10, "too little was said of bursts"


def test_what_is_said_of_tracks_that_are_rewritten_is_t_sql(home, spoken):
    """Cuts, joins, their undoing and a new detector: the page and `chimp retrack` say these."""
    db = home.database
    make_world(db)
    plan_pairs(db, [(track(1), track(2)), (track(1, 1), track(2, 1))])
    cut, join = event("split", track(1), frame_no=4), event("merge", track(1, 1), other_track_id=track(1, 2))
    record_events(db, [event("identify", track(1), "FF"), event("identify", track(1, 1), "GM"), cut, join])
    record_events(db, [event("identify", track(1, 1), "FI"), event("retract", supersedes=join.annotation_id)])
    record_events(db, [event("retract", supersedes=cut.annotation_id), event("split", track(2), frame_no=3)])
    register_and_retrack(db)
    ids = np.array([track(1), track(2)], np.int64)
    with db.read() as conn:
        reserved_mask(conn, ids, 1, 0.2, 3)
        measured_mask(conn, ids, 3)
        tracked_before(conn, 1, "a-0001", 1)
        assert gone_answers(conn, only_lost=True, states=("replaced", "split")) is not None
        kept_videos(conn)
        lost_answers(conn)
        review.counts(conn, home.settings)
        conn.execute(effective_answers(3, None, ids.tolist())).all()
        conn.execute(effective_pair_answers(3)).all()
    assert list(check_database(db)) is not None
    assert faults_in(spoken) == {}
    assert sum("answer_heir" in str(element) for element, _ in spoken) > 10, "too little was said of heirs"


def test_what_is_asked_of_the_minutes_is_t_sql(home, spoken):
    """Each plan and the home page ask how far the archive is named, and what answers cost."""
    make_world(home.database)
    record_events(home.database, [event("identify", track(1), "FF", seconds=2.0)])
    with home.database.read() as conn:
        assert read_archive_names(conn, home.settings)
        learned_prices(conn, 1)
        read_plan_ground(conn, home.settings, 1)
        read_snapshot(conn, home.settings)
        assert seconds_spent(conn, watermark_seq=1) == 2.0
    assert not come_first(home.database)
    assert not barred(home.database, 2, np.array([track(1)]), np.array([1]), {}).any()
    assert faults_in(spoken) == {}
    assert sum("grid_page" in str(element) for element, _ in spoken) > 2, "too little was said of minutes"


def register_and_retrack(db):
    boxes = np.tile(np.array([0.0, 0.5, 0.25, 0.25], np.float32), (10, 1))
    linked = LinkedTrack(np.arange(10, dtype=np.int32), boxes, np.full(10, 0.7, np.float32))
    assert retrack_video(db, 1, [JudgedTrack(linked, 0.5, "live")], 1).done


def test_what_is_said_of_alerts_is_t_sql(home, spoken):
    """Opened, asked about, watched and closed: from a plan to the sensors."""
    db = home.database
    make_world(db)
    told = {"kind": "data", "signal": "contrast", "noticed": date(2026, 4, 1), "size": -2.0}
    one = open_one(db, camera="cam", since=date(2026, 3, 1), **told)
    other = open_one(db, camera="", since=date(2026, 1, 1), until=date(2026, 2, 1), **told)
    with db.read() as conn:
        work.queue_due(conn, home.settings)
        acting_since(conn, datetime(2020, 1, 1, tzinfo=UTC))
        watch_due(conn, None)
        read_snapshot(conn, home.settings)
        audit_order(conn, np.array([track(1)], np.int64))
        outcomes(conn)
    close_alerts(home)
    expect(db, one, "Rain.", "rita")
    resolve(db, other, "Over.", until=date(2026, 2, 1))
    assert faults_in(spoken) == {}
    assert sum("drift_alert" in str(element) for element, _ in spoken) > 10, "too little was said of alerts"


# Only ever said to SQLite: its planner's statistics, its list of parents, its own tables.
ONLY_SQLITE = ("sqlite_stat1", "json_each", "sqlite_schema")


def faults_in(spoken):
    """What is wrong with statements that were heard, as SQL Server would read them: statement -> reasons."""
    wrong = {}
    for element, names in spoken:
        if isinstance(element, str | SavepointClause | ReleaseSavepointClause):
            continue  # savepoints are said by the dialect itself, in SQL Server's own words
        try:
            statement = t_sql.compiled(element, names)
        except sa.exc.CompileError as error:
            wrong[str(element)[:500]] = [str(error)]
            continue
        why = t_sql.faults_of(statement)
        if why and not any(word in statement for word in ONLY_SQLITE):
            wrong[statement] = why
    return wrong


def test_what_is_said_of_one_individual_is_t_sql(home, spoken):
    """Is this X: words, words taken back, heirs, merged individuals, and what a head may no longer say."""
    db = home.database
    make_world(db)
    words = [event("is_individual", track(1), "FF", annotator=who) for who in ("vera", "vito")]
    record_events(db, [*words, event("not_individual", track(2), "GM"), event("split", track(2), frame_no=5)])
    record_events(db, [event("retract", supersedes=words[0].annotation_id, annotator="vera")])
    merges.merge_individuals(db, "GM", "FF")
    with db.read() as conn:
        assert invariants.evidence_that_does_not_follow(conn) == []
        evidence.tracks_to_name_again(conn, 10)
        evidence.denials_of(conn, 2)
    assert faults_in(spoken) == {}
    assert sum("track_evidence" in str(element) for element, _ in spoken) > 10, "too little was said of evidence"


def test_what_is_asked_of_the_days_of_cameras_is_t_sql(home, spoken):
    """Every night asks these."""
    archive_of_blocks(home, 1, date(2024, 1, 1), 8, 160)
    assert write_blocks(home)
    find_changes(home, date(2024, 1, 8))
    assert faults_in(spoken) == {}
    assert sum("drift_block" in str(element) for element, _ in spoken) > 8, "too little was said of days"


def test_what_an_import_of_annotations_says_is_t_sql(home, spoken, tmp_path):
    """Matching, tracks that are here, new ones, names, days; and again, when all of it is there."""
    add_pictures(home.database, ["a/one.mp4", "a/two.jpg"], state="decoded", frames=3)
    lines = [f"one.mp4,1,FF,0.{2 * n},0.1,0.1,0.5,0.5,2024-05-06" for n in range(3)]
    (tmp_path / "a.csv").write_text("\n".join(["file,track,individual,time,x,y,w,h,date", *lines, "two.jpg,,FR,,,,,,"]))
    for _ in range(2):
        take_in(home, "csv", tmp_path / "a.csv", ReadOptions(), Wishes(new_individuals=True))
    assert imported_detector(home.database, home.store, 1) is None
    assert faults_in(spoken) == {}
    assert sum("import_file" in str(element) for element, _ in spoken) > 3, "too little was said of imports"


@pytest.mark.slow
def test_every_statement_of_a_whole_life_is_t_sql(home, tmp_path, spoken, monkeypatch):
    """What no test on SQL Server runs is at least said in its language: from the listing of files to the next plan."""
    from chimp_assets.demo.archive import make_archive

    make_archive(tmp_path / "videos", tmp_path / "truth.json", individuals=3, cameras=1, days=1, clips=1, seconds=2.0)
    monkeypatch.setenv("CHIMP_DECODE__WORKERS", "0")
    filmed = Home.open(home.settings.home, archive_url=str(tmp_path / "videos"))
    ingest(filmed)
    ingest(filmed)
    with filmed.database.read() as conn:
        status.status_of(conn)
        status.failures_of(conn)
    work.retry_failed(filmed.database)
    filmed.database.dispose()

    from chimp_assets.home import init_home

    monkeypatch.setenv("CHIMP_EMBED__CROP_SIDE", "48")
    monkeypatch.setenv("CHIMP_EMBED__DIMENSIONS", "16")
    monkeypatch.setenv("CHIMP_EMBED__WEIGHTS", "self_supervised")
    monkeypatch.setenv("CHIMP_EMBED__EPOCHS", "1")
    labelled = init_home(tmp_path / "labelled")
    db = labelled.database
    truth = make_animals(labelled, videos=30)
    from chimp_assets.vision.embedding.embedder import fit_embedder

    fit_embedder(db, labelled.store, labelled.settings)
    rescore(labelled)
    plan_queue(db, labelled.store, labelled.settings)
    claimed = queue.claim(db, "expert", 3, 15.0)
    assert claimed
    queue.release(db, "expert")
    teach, audit = teaching_and_audit(labelled, truth)
    answer(labelled, truth, "typical", teach)
    answer(labelled, truth, "audit", audit)
    monkeypatch.setattr(
        retrain,
        "train_in_own_process",
        lambda home, key: train.train_head(home.database, home.store, home.settings, key).model_id,
    )
    retrained = retrain.retrain(labelled)
    from chimp_assets.vision.models.checkpoint import promote

    if not retrained.promoted:
        promote(db, retrained.model_id, "for the test")
    assert rescore(labelled).with_predictions
    plan_queue(db, labelled.store, labelled.settings)
    with db.read() as conn:
        status.status_of(conn)
        for due in (work.embedder_due, work.queue_due):
            due(conn, labelled.settings)
        work.label_rows(conn)
    label_files.export_labels(db, tmp_path / "labels.csv", all_events=True)
    label_files.import_labels(db, tmp_path / "labels.csv")
    (tmp_path / "people.csv").write_text(
        "anim_id,name,sex,birth_date,mom_id\nFF,Fifi,F,1958-01-01,\nFI,Fred,M,2010-03-01,FF\n"
    )
    import_individuals(db, tmp_path / "people.csv")
    merges.merge_individuals(db, "AA", "CC")
    merges.unmerge_individual(db, "AA")
    (tmp_path / "cameras.csv").write_text("camera,start_date,latitude,longitude\ncam0,2020-01-01,-4.6,29.6\n")
    import_effort(db, tmp_path / "cameras.csv")
    examine(labelled, False, 0)
    list(check_database(db))
    next(iter(SqlTrackDataset(db, labelled.store)), None)

    assert faults_in(spoken) == {}
    assert len({str(element) for element, _ in spoken}) > 150, "the flow has become too short to prove anything"
