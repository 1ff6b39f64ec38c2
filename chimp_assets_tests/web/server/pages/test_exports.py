"""Exports on the page: what is chosen is what is downloaded, nothing else, and nothing stays behind."""

from __future__ import annotations

import csv
import io
import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.web.pages import exports as page


def unpacked(answer: Any) -> dict[str, bytes]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["cache-control"] == "no-store"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def test_a_download_is_what_was_selected_with_its_sidecar(client: Any) -> None:
    lotte = client("lotte")
    files = unpacked(lotte.get("/export/download?format=sightings&individual=fifi&to=2013-05-08&camera="))
    assert files.keys() == {"sightings/sightings.csv", "sightings/sightings.csv.about.json"}
    rows = list(csv.DictReader(io.StringIO(files["sightings/sightings.csv"].decode())))
    assert {(row["anim_id"], row["recorded_on"]) for row in rows} == {
        ("FF", "2013-05-06"), ("FF", "2013-05-07"), ("FF", "2013-05-08"),
    }  # fmt: skip
    about = json.loads(files["sightings/sightings.csv.about.json"])
    assert about["selection"]["where"] == ["individual=fifi", "to=2013-05-08"]
    assert about["label_seq"] == 10
    folder = unpacked(lotte.get("/export/download?format=yolo&individual=FF&yolo.classes=individual"))
    assert {"yolo/data.yaml", "yolo/about.json", "yolo/frames.csv"} <= folder.keys()
    assert '"FF"' in folder["yolo/data.yaml"].decode()


def test_the_page_says_how_much_is_selected_and_links_lead_to_it(client: Any) -> None:
    lotte = client("lotte")
    text = lotte.get("/export?individual=FF,FI&source=person&format=coco").text
    assert "9 tracks of 6 videos, 90 boxes" in text
    assert 'value="coco" checked' in text
    assert "exports." not in text.replace("/exports.", "")
    assert "project.title" not in text
    assert "title, species, sampling_design, contributors, data_licence, media_licence" in text
    assert 'href="/export"' in lotte.get("/individuals").text
    assert 'href="/export?individual=FF"' in lotte.get("/individual/FF").text
    assert "/export?individual=FF,FI&amp;from=2013-05-06&amp;source=person" in (
        lotte.get("/together?with=FF,FI&since=2013-05-06").text
    )
    network = lotte.get("/together/network?names=model&p=0.5&few=1").text
    assert "/export?format=association_network&amp;min_probability=0.5" in network
    lotte.cookies.set("lang", "fr")
    french = lotte.get("/export?camera=cam1").text
    assert "Télécharger" in french
    assert "Pistes en MOT Challenge" in french
    assert "Ne se restreint pas par" in french


def test_what_cannot_be_downloaded_is_refused_in_words(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lotte = client("lotte")
    assert "There is no individual &#39;FIFFI&#39;" in lotte.get("/export?individual=FIFFI").text
    refused = {
        "format=cocoa": "Did you mean coco?",
        "format=camtrap_dp": "project.title",
        "individual=FIFFI": "There is no individual",
        "format=association_network&camera=cam1": "cannot be narrowed by",
        "format=yolo&yolo.classes=x": "It is one of",
        "exact_places=yes": "is no condition",
        "file=/etc/passwd": "is no condition",
        "format=../../etc/passwd": "There is no export",
    }
    for query, sentence in refused.items():
        answer = lotte.get(f"/export/download?{query}")
        assert answer.status_code == 422, query
        assert sentence in answer.text, query
    monkeypatch.setattr(page, "MOST_BOXES", 100)
    answer = lotte.get("/export/download?format=coco")
    assert (answer.status_code, answer.json()["code"]) == (413, "too_much")
    assert "Narrow the selection" in lotte.get("/export").text


def test_one_export_at_a_time_and_nothing_stays_behind(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "t"))
    (tmp_path / "t").mkdir()
    lotte = client("lotte")
    lock = lotte.app.state.exporting
    with lock:
        answer = lotte.get("/export/download?format=sightings")
        assert (answer.status_code, answer.json()["code"]) == (503, "busy")
    unpacked(lotte.get("/export/download?format=mot"))
    assert lotte.get("/export/download?format=camtrap_dp").status_code == 422
    unpacked(lotte.get("/export/download?format=sightings"))
    assert list((tmp_path / "t").iterdir()) == []


def test_looking_and_downloading_change_nothing_and_need_a_person(client: Any, archive: Any) -> None:
    lotte = client("lotte")
    with archive.database.read() as conn:
        before = [conn.scalar(sa.select(sa.func.count()).select_from(one)) for one in s.metadata.sorted_tables]
    lotte.get("/export")
    unpacked(lotte.get("/export/download?format=coco"))
    with archive.database.read() as conn:
        after = [conn.scalar(sa.select(sa.func.count()).select_from(one)) for one in s.metadata.sorted_tables]
    assert after == before
    lotte.cookies.clear()
    assert lotte.get("/export").status_code in (303, 401)
    assert lotte.get("/export/download?format=coco").status_code in (303, 401)


def test_the_form_downloads_in_a_browser(page: Any, tmp_path: Path) -> None:
    page.goto("/export?individual=FF")
    page.get_by_label("coco").check()
    page.get_by_role("button", name="Count").click()
    assert page.get_by_label("coco").is_checked()
    with page.expect_download() as waited:
        page.get_by_role("button", name="Download").click()
    with zipfile.ZipFile(waited.value.path()) as packed:
        assert set(packed.namelist()) == {"coco/coco.json", "coco/coco.json.about.json"}
    assert page.errors == []
