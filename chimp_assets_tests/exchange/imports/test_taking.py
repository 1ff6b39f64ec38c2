"""What an import stores, what it leaves, and that running it again, or killing it, changes nothing."""

from __future__ import annotations

import csv
import multiprocessing
import os
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.individuals.biographies import upsert_individuals
from chimp_assets.database.labels.events import LabelEvent, record_events
from chimp_assets.database.people.users import PeopleError, add_user
from chimp_assets.exchange.imports.annotations import ImportFileError, ReadOptions
from chimp_assets.exchange.imports.intake import taking
from chimp_assets.exchange.imports.intake.report import TakenIn
from chimp_assets.exchange.imports.intake.taking import Wishes, take_in
from chimp_assets.home import Home
from chimp_assets_tests.exchange.imports.pictures import add_pictures, everything
from chimp_assets_tests.support.rows import add_model, add_track

NEW = Wishes(new_individuals=True)


def table(file: Path, rows: list[dict[str, Any]]) -> Path:
    names = list(dict.fromkeys(name for row in rows for name in row))
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, names)
        writer.writeheader()
        writer.writerows(rows)
    return file


def imported(home: Home, file: Path, wishes: Wishes = NEW, **options: Any) -> TakenIn:
    return take_in(home, "csv", file, ReadOptions(**options), wishes)


def boxes(video: str, track: str, who: str, left: float, n: int = 8) -> list[dict[str, Any]]:
    return [
        {"file": video, "time": number / 5, "track": track, "individual": who, "x": left, "y": 0.1, "w": 0.2, "h": 0.3}
        for number in range(n)
    ]


@pytest.fixture
def films(home: Home) -> Home:
    """Two films of ten stored pictures, not tracked."""
    add_pictures(home.database, ["a/one.mp4", "a/two.mp4"], state="decoded", frames=10)
    return home


def test_tracks_keep_their_numbers_and_their_video_is_tracked(films: Home, tmp_path: Path) -> None:
    rows = boxes("a/one.mp4", "17", "Fifi", 0.1) + boxes("a/one.mp4", "4 b", "Fred", 0.6)
    report = imported(films, table(tmp_path / "a.csv", rows))
    assert (report.rows.new_tracks, report.names.stored, report.names.made.n) == (2, 2, 2)
    with films.database.read() as conn:
        sources = dict(conn.execute(sa.select(t.imported_track.c.source_id, t.imported_track.c.track_id)).all())
        assert sources == {"17": t.track_id_of(1, 0), "4 b": t.track_id_of(1, 1)}
        states = dict(conn.execute(sa.select(t.video.c.uri, t.video.c.state)).all())
        assert states == {"a/one.mp4": "tracked", "a/two.mp4": "decoded"}, "the other one is still to be detected in"
        model = conn.execute(sa.select(t.model)).one()
        assert (model.task, model.name, model.state) == ("detector", "imported", "champion")
        assert set(conn.scalars(sa.select(t.track.c.quality > 0.2))) == {True}


def test_boxes_of_a_track_that_is_here_are_that_track(films: Home, tmp_path: Path) -> None:
    """Its own boxes lie at 0.1, 0.1 on the first four pictures: the name goes there, and no second track is made."""
    add_model(films.database, 1, "detector")
    ours = add_track(films.database, 1, 0)
    rows = boxes("a/one.mp4", "9", "Fifi", 0.11, 5) + boxes("a/one.mp4", "10", "Fred", 0.6)
    report = imported(films, table(tmp_path / "a.csv", rows))
    assert (report.rows.same_tracks, report.rows.new_tracks) == (1, 1)
    with films.database.read() as conn:
        s = t.imported_track.c
        assert conn.scalar(sa.select(s.track_id).where(s.source_id == "9")) == ours
        assert conn.scalar(sa.select(s.track_id).where(s.source_id == "10")) == t.track_id_of(1, 1)
        k = t.model.c
        states = dict(conn.execute(sa.select(k.name, k.state)).all())
        assert states == {"detector 1": "champion", "imported": "candidate"}, "whose boxes count is a person's choice"


def test_two_animals_of_the_file_are_never_one_track_here(films: Home, tmp_path: Path) -> None:
    add_model(films.database, 1, "detector")
    add_track(films.database, 1, 0)
    rows = boxes("a/one.mp4", "1", "Fifi", 0.1, 4) + boxes("a/one.mp4", "2", "Fred", 0.12, 4)
    report = imported(films, table(tmp_path / "a.csv", rows))
    assert (report.rows.same_tracks, report.rows.new_tracks) == (1, 1)


def test_a_dry_run_counts_the_same_and_stores_nothing(films: Home, tmp_path: Path) -> None:
    file = table(tmp_path / "a.csv", boxes("a/one.mp4", "1", "Fifi", 0.1) + boxes("b.mp4", "1", "Fred", 0.1))
    before = everything(films.database)
    dry = imported(films, file, Wishes(new_individuals=True, dry_run=True))
    assert everything(films.database) == before
    real = imported(films, file)
    for report in (dry, real):
        report.dry_run, report.seconds = False, 0.0
    assert dry == real
    assert real.media.unmatched.named == ["b.mp4: no video or picture has this name"]


@pytest.mark.parametrize("after", [0, 1, 2, 3, 5])
def test_a_kill_at_any_page_loses_and_doubles_nothing(
    films: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    add_pictures(films.database, [f"c/{n}.jpg" for n in range(4)], first=10)
    rows = boxes("a/one.mp4", "1", "Fifi", 0.1) + boxes("a/two.mp4", "1", "Fred", 0.1)
    rows += [{"file": f"c/{n}.jpg", "individual": f"X{n}"} for n in range(4)]
    file = table(tmp_path / "a.csv", rows)
    monkeypatch.setattr(taking, "_PAGE", 1)
    films.database.dispose()
    child = multiprocessing.get_context("fork").Process(target=_die_after, args=(films, file, after))
    child.start()
    child.join(60)
    assert child.exitcode == 9
    report = imported(films, file)
    assert report.rows.new_tracks + report.rows.known_tracks == 6
    done = everything(films.database)
    assert (len(done["track"]), len(done["annotation"]), len(done["import_file"])) == (6, 6, 1)
    imported(films, file)
    assert everything(films.database) == done


def _die_after(home: Home, file: Path, pages: int) -> None:
    store, left = taking._store, [pages]

    def die(*arguments: Any) -> None:
        if not left[0]:
            os._exit(9)
        left[0] -= 1
        store(*arguments)

    taking._store = die  # type: ignore[assignment]
    imported(home, file)


def test_a_row_without_a_box_is_about_the_only_track_or_about_none(films: Home, tmp_path: Path) -> None:
    add_model(films.database, 1, "detector")
    only, first, second = (add_track(films.database, *which) for which in ((1, 0), (2, 0), (2, 1)))
    file = table(
        tmp_path / "a.csv",
        [{"file": "one.mp4", "individual": "Fifi", "time": "0:00.4"}, {"file": "two.mp4", "individual": "Fred"},
         {"file": "one.mp4", "individual": "Flo", "time": "1.8"}],
    )  # fmt: skip
    with films.database.write() as conn:
        conn.execute(sa.update(t.video).values(state="tracked"))
    report = imported(films, file)
    assert report.names.stored == 1
    assert report.rows.unclear.named == [
        "one.mp4, line 4: there is no track",
        f"two.mp4, line 3: 2 tracks could be meant ({first}, {second})",
    ]
    with films.database.read() as conn:
        assert conn.scalars(sa.select(t.annotation.c.track_id)).all() == [only]


def test_a_name_that_nobody_has_is_reported_and_stored_later(films: Home, tmp_path: Path) -> None:
    """An individual that is added afterwards, or by its alias or name, is found by the same file."""
    file = table(tmp_path / "a.csv", boxes("a/one.mp4", "1", "Fifi", 0.1) + boxes("a/two.mp4", "2", "unknown", 0.1))
    report = imported(films, file, Wishes())
    assert (report.names.stored, report.names.unknown.named) == (0, ["Fifi (8 rows)"])
    assert report.names.nobody.named == ["unknown"]
    upsert_individuals(films.database, [{"anim_id": "FF", "name": "FIFI"}])
    report = imported(films, file, Wishes())
    assert (report.names.stored, report.rows.known_tracks, report.rows.new_tracks) == (1, 2, 0)


def test_one_track_of_two_names_gets_none(films: Home, tmp_path: Path) -> None:
    rows = boxes("a/one.mp4", "1", "Fifi", 0.1)
    rows[3]["individual"] = "Fred"
    report = imported(films, table(tmp_path / "a.csv", rows))
    assert (report.names.stored, report.names.mixed.n, report.rows.new_tracks) == (0, 1, 1)


def test_an_answer_of_an_expert_stands_by_the_usual_rules_and_the_report_says_so(films: Home, tmp_path: Path) -> None:
    db = films.database
    add_user(db, "Ann", "volunteer")
    add_model(db, 1, "detector")
    track_id = add_track(db, 1, 0)
    upsert_individuals(db, [{"anim_id": "FF"}, {"anim_id": "FR"}])
    said = LabelEvent("7a0f6a0e-9f0f-4a52-9df0-1f0c7b6f2f11", "identify", "expert", track_id=track_id, anim_id="FR")
    assert record_events(db, [said])[0].status == "stored"
    file = table(tmp_path / "a.csv", boxes("a/one.mp4", "1", "FF", 0.1, 4))
    report = imported(films, file, Wishes(annotator="ann"))
    assert (report.names.stored, report.names.contradicting.n) == (1, 1)
    with db.read() as conn:
        stands = conn.execute(sa.select(t.standing_answer)).one()
        newest = conn.execute(sa.select(t.annotation).order_by(t.annotation.c.seq.desc()).limit(1)).one()
    assert newest.lane == "import"
    assert (stands.annotation_id == newest.annotation_id) == bool(report.names.stands)


def test_bad_rows_are_named_and_keep_everything_out_unless_they_are_skipped(films: Home, tmp_path: Path) -> None:
    rows = boxes("a/one.mp4", "1", "Fifi", 0.1)
    rows += [{"file": "a/two.mp4", "individual": "Fred", "time": "noon"}, {"file": "", "individual": "Flo"},
             {"file": "a/two.mp4", "x": 1, "y": 2, "individual": "Flo"}, {"file": "a/two.mp4", "frame": -1, "track": 1},
             {"file": "a/two.mp4", "x": 0.1, "y": 0.1, "w": 0, "h": 0.2, "individual": "B"}]  # fmt: skip
    file = table(tmp_path / "a.csv", rows)
    before = everything(films.database)
    with pytest.raises(ImportFileError) as refused:
        imported(films, file)
    for words in (
        "5 rows",
        "line 10, time: 'noon'",
        "line 11, file: no file",
        "line 12, x: a box needs",
        "line 13, frame",
    ):
        assert words in refused.value.sentence
    assert everything(films.database) == before
    report = imported(films, file, Wishes(new_individuals=True, skip_bad=True))
    assert (report.bad_rows.n, report.rows.new_tracks) == (5, 1)


def test_who_is_no_user_says_nothing(films: Home, tmp_path: Path) -> None:
    file = table(tmp_path / "a.csv", boxes("a/one.mp4", "1", "Fifi", 0.1))
    before = everything(films.database)
    with pytest.raises(PeopleError, match="no user 'bob'"):
        imported(films, file, Wishes(annotator="bob", new_individuals=True))
    assert everything(films.database) == before


def test_a_video_that_is_not_decoded_waits_and_comes_with_the_next_import(home: Home, tmp_path: Path) -> None:
    add_pictures(home.database, ["a/one.mp4"], state="registered")
    file = table(tmp_path / "a.csv", boxes("a/one.mp4", "1", "Fifi", 0.1))
    assert imported(home, file).media.waiting.named == ["a/one.mp4"]
    with home.database.write() as conn:
        conn.execute(sa.update(t.video).values(state="decoded"))
        conn.execute(
            sa.insert(t.frame_shard).values(
                shard_id=t.shard_id_of(1, 0), video_id=1, uri="s", bytes=1, content_hash="0" * 64
            )
        )
        conn.execute(
            sa.insert(t.frame),
            [{"video_id": 1, "frame_no": n, "pts": n, "time_s": n / 5, "shard_id": t.shard_id_of(1, 0),
              "byte_offset": n, "byte_length": 1} for n in range(10)],
        )  # fmt: skip
    report = imported(home, file)
    assert (report.rows.new_tracks, report.names.stored) == (1, 1)


def test_a_track_that_was_joined_with_another_since_is_not_made_again(films: Home, tmp_path: Path) -> None:
    """Two tracks of the file; a person declares one to be junk. The same file must not bring it back."""
    file = table(tmp_path / "a.csv", boxes("a/one.mp4", "1", "Fifi", 0.1) + boxes("a/one.mp4", "2", "Fred", 0.6))
    imported(films, file)
    with films.database.write() as conn:
        conn.execute(sa.update(t.track).where(t.track.c.track_id == t.track_id_of(1, 1)).values(state="merged"))
    before = everything(films.database)
    report = imported(films, file)
    assert (report.rows.known_tracks, report.rows.new_tracks) == (2, 0)
    assert everything(films.database) == before


def test_boxes_without_a_number_and_a_name_are_joined_by_our_tracker(films: Home, tmp_path: Path) -> None:
    rows = [
        {"file": "a/one.mp4", "time": n / 5, "x": left + 0.01 * n, "y": 0.2, "w": 0.2, "h": 0.3}
        for n in range(10)
        for left in (0.1, 0.6)
    ]
    for row in rows:
        row["track"] = ""
        row["individual"] = ""
    # A row about nobody says nothing in this format, so a category marks them as boxes.
    report = imported(films, table(tmp_path / "a.csv", rows))
    assert report.rows.new_tracks == 2
    with films.database.read() as conn:
        assert sorted(conn.scalars(sa.select(t.track.c.n_detections))) == [10, 10]


def test_pictures_of_a_burst_and_copies_lead_to_the_pictures_that_there_are(home: Home, tmp_path: Path) -> None:
    db = home.database
    burst, second, copy = add_pictures(db, ["b/1.jpg", "b/2.jpg", "b/copy.jpg"], frames=3)
    with db.write() as conn:
        v, f = t.video.c, t.frame.c
        conn.execute(sa.delete(t.frame).where(f.video_id != burst))
        conn.execute(sa.update(t.frame).where(f.frame_no == 1).values(source_video_id=second))
        conn.execute(sa.delete(t.frame).where(f.frame_no == 2))
        conn.execute(sa.update(t.video).where(v.video_id == second).values(state="retired", burst_video_id=burst))
        conn.execute(sa.update(t.video).where(v.video_id == copy).values(state="retired", duplicate_of_video_id=second))
    rows = [{"file": name, "individual": who} for name, who in (("1.jpg", "Fifi"), ("2.jpg", "Fred"))]
    report = imported(home, table(tmp_path / "a.csv", rows))
    assert report.rows.new_tracks == 2
    with db.read() as conn:
        d = t.detection.c
        assert conn.execute(sa.select(d.video_id, d.frame_no).order_by(d.frame_no)).all() == [(burst, 0), (burst, 1)]
    report = imported(home, table(tmp_path / "b.csv", [{"file": "copy.jpg", "individual": "Fred"}]))
    assert (report.rows.new_tracks, report.rows.same_tracks, report.names.known) == (0, 1, 1)
