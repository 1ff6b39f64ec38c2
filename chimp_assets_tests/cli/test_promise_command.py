"""What `chimp promise` takes, says and refuses."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from chimp_assets.cli import app
from chimp_assets.cli.promise import share_of
from chimp_assets.database.labels.promises.goals import PromiseError
from chimp_assets.home import Home


def test_a_promise_is_made_shown_and_withdrawn(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHIMP_HOME", str(home.settings.home))

    def said(*words: str) -> str:
        done = CliRunner().invoke(app, ["promise", *words])
        assert done.exit_code == 0, done.output
        return " ".join(done.output.split())

    assert "chimp promise" not in said("--error", "2,5 %", "--named", "0.8")
    told = json.loads(said("--json"))
    assert (told["error"], told["named"], told["confidence"], told["promised"]) == (0.025, 0.8, 0.95, True)
    assert (told["state"], told["looks"]) == ("to reach", [])
    assert "at most 2.5 % of the named frames" in said()
    assert said("withdraw") == "The promise is withdrawn."
    assert said("withdraw") == "Nothing was promised."
    assert json.loads(said("--json"))["promised"] is False


@pytest.mark.parametrize("text", ["5", "five", "-1%", "140%", ""])
def test_what_is_no_share_is_refused(text: str) -> None:
    """--error 5 could mean 5 % or everything."""
    with pytest.raises(PromiseError, match="--error is no share"):
        share_of("--error", text)


def test_an_error_must_be_said(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHIMP_HOME", str(home.settings.home))
    done = CliRunner().invoke(app, ["promise", "--named", "90%"])
    assert isinstance(done.exception, PromiseError)
