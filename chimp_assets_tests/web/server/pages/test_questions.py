"""The screens of questions: choose, fill in, read, download; nothing runs for long, and nothing is cut in silence."""

from __future__ import annotations

import csv
import io

import pytest

from chimp_assets.insight.questions import questions
from chimp_assets.web.pages.questions import screens


@pytest.fixture
def lotte(client):
    return client("lotte")


def test_every_question_is_listed_and_opens(lotte):
    page = lotte.get("/questions").text
    assert [one.name for one in questions() if f'"/questions/{one.name}"' not in page] == []
    assert 'href="/questions"' in lotte.get("/").text
    for name in ("seen_with_whom", "residency", "who_says_so", "effort_by_camera"):
        text = lotte.get(f"/questions/{name}").text
        assert "<h1" in text
        assert "questions." not in text.replace("/questions.", "")
        assert "SELECT" in text


def test_an_answer_has_a_picture_rows_a_file_and_its_command(lotte):
    asked = "/questions/seen_with_whom?individual=fifi&seconds=&limit=5"
    page = lotte.get(asked).text
    assert '<svg xmlns="http://www.w3.org/2000/svg"' in page
    assert "style=" not in page.split("<svg")[1].split("</svg>")[0], "the guard of pages allows no styles"
    assert "chimp query seen_with_whom --set individual=fifi --set limit=5" in page
    table = lotte.get(asked.replace("?", "/answer.csv?"))
    assert table.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert rows
    assert all(f"<td>{row['partner']}</td>" in page for row in rows)
    drawn = lotte.get(asked.replace("?", "/picture.svg?"))
    assert drawn.headers["content-type"].startswith("image/svg+xml")
    assert rows[0]["partner"] in drawn.text
    assert "Télécharger en CSV" in lotte.get(asked, headers={"Accept-Language": "fr"}).text


def test_a_question_about_somebody_waits_to_be_asked(lotte):
    """Its default names somebody of the demo: an empty answer would say that nobody was ever seen."""
    page = lotte.get("/questions/seen_with_whom").text
    assert "Rows:" not in page
    assert "Nothing:" not in page
    assert 'placeholder="FF"' in page


def test_what_is_not_known_is_named(lotte):
    assert (
        "There is no individual &#39;FFF&#39;. Did you mean FF?"
        in lotte.get("/questions/home_range?individual=FFF").text
    )
    assert "whole number" in lotte.get("/questions/last_seen?limit=few").text
    for path in ("/questions/last_sen", "/questions/..%2Fviews%2Fv_dyad", "/questions/last_sen/answer.csv"):
        assert lotte.get(path).status_code == 404
    assert lotte.get("/questions/last_seen?limits=5").status_code == 422
    assert lotte.get("/questions/last_seen/answer.csv?limit=few").status_code == 422
    assert lotte.get("/questions/home_range/answer.csv?individual=FFF").status_code == 422
    assert lotte.get("/questions/where_the_model_is_unsure/picture.svg").status_code == 404
    assert lotte.get("/questions/home_range?individual=" + "x" * 300).status_code == 422


def test_more_rows_than_are_shown_are_said(lotte, monkeypatch):
    monkeypatch.setattr(screens, "MOST_ROWS", 1)
    monkeypatch.setattr(screens, "MOST_ROWS_OF_A_FILE", 1)
    assert "There are more rows: the first 1 are shown" in lotte.get("/questions/residency").text
    refused = lotte.get("/questions/residency/answer.csv")
    assert refused.status_code == 413
    assert "chimp query residency --csv" in refused.json()["remedy"]


def test_a_question_that_takes_too_long_is_stopped(lotte, monkeypatch):
    monkeypatch.setattr(screens, "MOST_SECONDS", 0.0)
    assert "did not answer within 0 seconds" in lotte.get("/questions/ties_by_kin").text
    assert lotte.get("/questions/ties_by_kin/answer.csv").status_code == 503
    monkeypatch.undo()
    assert lotte.get("/questions/ties_by_kin/answer.csv").status_code == 200, "the connection is as it was"
