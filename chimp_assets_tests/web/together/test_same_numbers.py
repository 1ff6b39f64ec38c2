"""Pages and commands about two periods, mothers and pairs say the same, and refuse what cannot be asked."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from chimp_assets.cli import app
from chimp_assets.errors import ChimpError
from chimp_assets.home import Home
from chimp_assets.web.app import Options, create_app
from chimp_assets.web.auth.accounts import set_password
from chimp_assets.web.pages import together
from chimp_assets_tests.database.days_together import make_days_together
from chimp_assets_tests.support.homes import copied

ADDRESS, PASSWORD = "http://127.0.0.1:3001", "a grove of twelve old figs"


@pytest.fixture(scope="module")
def archive(empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    home = copied(empty_home, tmp_path_factory.mktemp("compare") / "home")
    make_days_together(home.database)
    set_password(home.database, "lotte", PASSWORD)
    yield home
    home.database.dispose()


@pytest.fixture(scope="module")
def lotte(archive: Home) -> Iterator[TestClient]:
    app = create_app(archive, Options(make_media=False))
    client = TestClient(app, base_url=ADDRESS, headers={"Origin": ADDRESS}, follow_redirects=False)
    assert client.post("/api/sign-in", json={"name": "lotte", "password": PASSWORD}).status_code == 200
    yield client
    app.state.db.dispose()


@pytest.fixture(autouse=True)
def of_home(archive: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHIMP_HOME", str(archive.settings.home))


def said(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["compare", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


TWO = ("--from", "2013-05-06", "--to", "2013-07-20", "--from", "2013-08-01", "--to", "2013-10-01")


@pytest.mark.parametrize(
    ("words", "page"),
    [
        (("--around", "FI:birth", "--days", "70"), "change.csv?birth=FI&days=70"),
        (
            (*TWO, "--rule", "clip"),
            "change.csv?rule=clip&a_since=2013-05-06&a_until=2013-07-20&b_since=2013-08-01&b_until=2013-10-01",
        ),
        (("--wet", "6,7,8", "--individuals"), "change_of_individuals.csv?season=1&wet=6&wet=7&wet=8"),
        (
            ("--wet", "7", "--without-dependants", "--who", "Fifi"),
            "change.csv?season=1&wet=7&dependants=left_out&who=FF",
        ),
    ],
)
def test_the_command_and_the_page_write_the_same_rows(
    lotte: TestClient, tmp_path: Path, words: tuple[str, ...], page: str
) -> None:
    """Two answers to one question would make two papers of one archive."""
    file = tmp_path / "rows.csv"
    said(*words, "--csv", str(file))
    answer = lotte.get(f"/together/{page}")
    assert answer.status_code == 200, answer.text
    told = list(csv.DictReader(io.StringIO(answer.text)))
    assert list(csv.DictReader(io.StringIO(file.read_text()))) == told
    assert len(told) >= 2


def test_the_screen_and_json_say_what_is_sure_and_what_is_not() -> None:
    shown = " ".join(said("--around", "FI:birth", "--days", "70").split())
    assert "Before: 2013-05-16 to before 2013-07-25; 70 days" in shown
    assert "Gremlin" in shown
    assert "less" in shown
    assert "new" in shown
    assert "Mean strength" in shown
    found = json.loads(said("--around", "FI:birth", "--days", "70", "--json"))
    assert (found["who"], found["n_rows"], found["pattern"]) == ("Fifi", 3, None)
    assert found["before"]["days"] == found["after"]["days"] == 70
    assert found["mean_strength"]["low"] < found["mean_strength"]["difference"] < found["mean_strength"]["high"]
    assert "p: share of all" in said("--around", "FI:birth", "--individuals")


@pytest.mark.parametrize(
    "words",
    [
        (), ("--around", "FI"), ("--around", "GM:birth"), ("--around", "NOBODY:birth"), ("--wet", "13"),
        ("--wet", "june"), ("--wet", "site"), ("--wet", "6", "--around", "FI:birth"), TWO[:4],
        (*TWO[:4], "--from", "2013-07-01", "--to", "2013-10-01"), ("--wet", "6", "--rule", "week"),
        ("--wet", "6", "--who", "NOBODY"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_a_sentence_with_a_remedy(words: tuple[str, ...]) -> None:
    with pytest.raises(ChimpError) as caught:
        CliRunner().invoke(app, ["compare", *words], catch_exceptions=False)
    assert caught.value.remedy


def test_the_wet_months_of_the_site_are_a_setting(
    archive: Home, lotte: TestClient, tmp_path: Path, empty_home: Path
) -> None:
    """No site's rain is built in."""
    assert lotte.get("/together/change?season=1").status_code == 422
    assert "Seasons of this site" not in lotte.get("/together/change").text
    file = archive.settings.home / "chimp.toml"
    before = file.read_text()
    try:
        file.write_text(before + "\n[project]\nwet_months = [8, 6, 7]\n")
        by_setting = json.loads(said("--wet", "site", "--json"))
        assert by_setting["after"]["months"] == [6, 7, 8]
        assert by_setting == json.loads(said("--wet", "6,7,8", "--json"))
    finally:
        file.write_text(before)


def test_pages_of_seasons_and_dependants_say_what_was_left_out(lotte: TestClient) -> None:
    page = lotte.get("/together/change?season=1&wet=6&wet=7&wet=8&dependants=left_out").text
    assert "Dry season" in page
    assert "Jun, Jul, Aug" in page
    assert "80 tracks of individuals under 5 years with their mother are left out." in page
    assert "Is the whole network different?" in page
    assert "season=1&amp;wet=6&amp;wet=7&amp;wet=8&amp;dependants=left_out" in page
    for path in ("over-time?dependants=left_out&step=year", "table?few=1&dependants=left_out"):
        shown = lotte.get(f"/together/{path}").text
        assert "80 tracks of individuals under 5 years" in shown, path
        assert "Fred" not in shown.partition("<table")[2], path
    csv_of = list(csv.DictReader(io.StringIO(lotte.get("/together/network.csv?few=1&dependants=left_out").text)))
    assert {row["dependants"] for row in csv_of} == {"left_out"}
    assert lotte.get("/together/patterns?dependants=left_out").status_code == 200
    for wrong in ("change?season=1&wet=13", "change?season=1&wet=x", "table?dependants=perhaps"):
        assert lotte.get(f"/together/{wrong}").status_code == 422, wrong


def test_a_mother_is_chosen_and_told_with_effort(lotte: TestClient) -> None:
    page = lotte.get("/together/mothers").text
    assert "Fifi, with Fred" in page
    told = lotte.get("/together/mothers?mother=Fifi").text
    assert "Fred, born 2013-07-25" in told
    assert "0 to before 3" in told
    assert 'class="ages"' in told
    rows = list(csv.DictReader(io.StringIO(lotte.get("/together/mothers.csv?mother=FF").text)))
    assert [row["infant"] for row in rows] == ["FI"]
    assert rows == list(csv.DictReader(io.StringIO(lotte.get("/together/mothers.csv").text)))
    assert (rows[0]["units"], rows[0]["with_infant"], rows[0]["days_filmed"]) == ("80", "80", "80")
    assert float(rows[0]["low"]) < 1 == float(rows[0]["share"])
    assert lotte.get("/together/mothers?mother=GM").status_code == 404
    assert lotte.get("/together/mothers?mother=FF&unit=week").status_code == 422
    assert lotte.get("/together/mothers?mother=FF&unit=frame").status_code == 422, "frames are no units of clips"


def test_two_individuals_have_the_corrected_index_of_the_table(
    lotte: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = lotte.get("/together?with=FF,GM").text
    rows = list(csv.DictReader(io.StringIO(lotte.get("/together/network.csv?few=1").text)))
    (pair,) = (row for row in rows if {row["a"], row["b"]} == {"FF", "GM"})
    numbers = [f"{float(pair[name]):.2f}" for name in ("corrected_sri", "low", "high")]
    assert f'{numbers[0]} <span class="code">{numbers[1]} – {numbers[2]}</span>' in page
    assert "nothing to correct" in page
    monkeypatch.setattr(together, "AT_ONCE", 0)
    assert f"{numbers[0]} <span" in lotte.get("/together?with=FF,GM").text, "names by people are counted at once"
    waiting = lotte.get("/together?with=FF,GM&names=model&p=0.5").text
    assert "nothing to correct" not in waiting
    assert "names=model&amp;p=0.5&amp;corrected=1" in waiting
    assert f"{numbers[0]} <span" in lotte.get("/together?with=FF,GM&names=model&p=0.5&corrected=1").text
