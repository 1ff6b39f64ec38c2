"""Imported tables on their pages: looked at, imported, joined, taken away, by who may."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from chimp_assets_tests.web.server.conftest import Browser

RAIN = "Date;Site;Camera;Rain (mm)\n06/05/2013;a;cam1;1,5\n07/05/2013;a;cam0;0\n=SUM(1);a;cam0;0\n"


def upload(text: str, **more: Any) -> dict[str, Any]:
    return {"file_name": "../../rain.csv", "content": base64.b64encode(text.encode("cp1252")).decode(), **more}


def test_a_reviewer_looks_first_and_then_imports(browser: Callable[..., Browser]) -> None:
    rita, lotte = browser("rita"), browser("lotte")
    assert "There are none yet" in lotte.get("/tables").text
    bad = rita.post("/api/tables/import", json=upload(RAIN, dates="dmy"))
    good = RAIN.replace("=SUM(1)", "08/05/2013")
    asked = rita.post("/api/tables/import", json=upload(good))
    assert asked.status_code == 422
    assert "in which order" in asked.json()["remedy"]
    seen = rita.post("/api/tables/import", json=upload(good, dates="dmy", about="of the gauge")).json()
    assert (seen["state"], seen["name"], seen["rows"]) == ("seen", "rain", 3)
    assert lotte.get("/tables/rain").status_code == 404
    stored = rita.post("/api/tables/import", json=upload(good, dates="dmy", about="of the gauge", dry_run=False)).json()
    assert stored["state"] == "stored"
    assert bad.json()["columns"][0]["kind"] == "text", "a formula is no date"
    page = lotte.get("/tables/rain").text
    for word in ("ext_rain", "of the gauge", "rain_mm", "2013-05-06", "1.5", "/tables/rain/there"):
        assert word in page
    assert lotte.get("/tables/rain/rows.csv").text.splitlines()[0].startswith("row_no,date")
    assert len(lotte.get("/tables/rain/rows.csv").text.splitlines()) == 4
    assert lotte.get("/tables/rain/there").status_code == 200
    assert lotte.get("/tables/rain/there/joined.csv").text.splitlines()[0].endswith("seen,videos,seconds")
    assert lotte.get("/tables/rain/around").status_code == 422, "nobody is named in it"
    french = lotte.get("/tables/rain", headers={"accept-language": "fr"}).text
    assert "Lignes" in french
    assert rita.post("/api/tables/rain/remove", json={}).json() == {"removed": "rain", "rows": 3}
    assert rita.post("/api/tables/rain/remove", json={}).status_code == 404


@pytest.mark.parametrize("name", ["lotte", "vera", "ida"])
def test_who_only_looks_imports_nothing(browser: Callable[..., Browser], name: str) -> None:
    assert browser(name).post("/api/tables/import", json=upload(RAIN)).status_code == 403
    assert browser(name).post("/api/tables/rain/remove", json={}).status_code == 403


@pytest.mark.parametrize(
    ("changed", "status"),
    [({"content": "%%%"}, 422), ({"name": "x; drop"}, 422), ({"file_name": "a.xlsx"}, 422), ({"extra": 1}, 422)],
)
def test_what_cannot_be_imported_is_refused(browser: Callable[..., Browser], changed: Any, status: int) -> None:
    answer = browser("rita").post("/api/tables/import", json={**upload(RAIN), **changed})
    assert answer.status_code == status
    assert answer.json()["error"]


def test_no_name_of_the_address_reaches_sql(browser: Callable[..., Browser]) -> None:
    for name in ("video", "ext_video", "a%22b", "x'--", "annotation"):
        assert browser("lotte").get(f"/tables/{name}").status_code == 404


def test_the_page_of_an_individual_shows_what_imported_tables_say_of_it(browser: Callable[..., Browser]) -> None:
    """Whoever imported the wounds of Fifi looks for them on the page of Fifi. Merged individuals bring their rows."""
    rita = browser("rita")
    text = "Chimp,Date,Wound (where)\nFF,2013-05-06,<b>ear\nGM,2013-05-07,foot\n"
    assert "Imported tables" not in rita.get("/individual/FF").text
    rita.post("/api/tables/import", json=upload(text, name="wounds", about="seen by Ann", dry_run=False))
    page = rita.get("/individual/FF").text
    for word in ("Imported tables", "/tables/wounds", "seen by Ann", "Wound (where)", "&lt;b&gt;ear"):
        assert word in page
    assert "foot" not in page
    assert "chimp_id" not in page, "columns that the import added are for SQL"
    assert "Imported tables" not in rita.get("/individual/FD").text
    assert rita.post("/api/individuals/GM/merge", json={"into": "FF", "force": True}).status_code == 200
    merged = rita.get("/individual/FF", headers={"accept-language": "fr"}).text
    assert "Tableaux importés" in merged
    assert "foot" in merged


def test_a_long_table_about_an_individual_ends_and_says_so(browser: Callable[..., Browser]) -> None:
    rows = "".join(f"FF,2013-05-06,bite {n}\n" for n in range(25))
    rita = browser("rita")
    rita.post("/api/tables/import", json=upload(f"Chimp,Date,What\n{rows}", name="bites", dry_run=False))
    page = rita.get("/individual/FF").text
    assert "bite 19" in page
    assert "bite 20" not in page
    assert "Only the first 20 rows are shown." in page
