"""The registry by a person's word: who may promote what, what is kept of it, and how a model is made again."""

import json

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from chimp_assets.cli import app
from chimp_assets.database import schema as t
from chimp_assets.database.people.users import PeopleError
from chimp_assets.vision.evaluation.promotion import promote_by_gate, promote_by_hand, roll_back
from chimp_assets.vision.models.checkpoint import ModelError, champion, promote, register_model
from chimp_assets.vision.models.code_version import code_version
from chimp_assets.vision.models.registry import list_models, show_model


def say(home, *words):
    done = CliRunner().invoke(app, ["models", *words], env={"CHIMP_HOME": str(home.settings.home)})
    assert done.exit_code == 0, done.output
    return done.output


def test_a_promotion_by_hand_is_kept_with_who_and_why_and_can_be_rolled_back(home):
    """A champion that nobody remembers choosing cannot be defended or undone."""
    first = register_model(home.database, "detector", "one", {}, state="champion")
    second = register_model(home.database, "detector", "two", {})
    with pytest.raises(ModelError, match="needs a reason"):
        promote_by_hand(home.database, home.store, home.settings, second, None, None, force=True)
    with pytest.raises(ModelError, match="only a person"):
        promote_by_hand(home.database, home.store, home.settings, second, "better boxes", None, force=False)
    with pytest.raises(PeopleError, match="no user"):
        promote_by_hand(home.database, home.store, home.settings, second, "better boxes", "nobody", force=True)
    with home.database.read() as conn:
        assert champion(conn, "detector").model_id == first
    promote_by_hand(home.database, home.store, home.settings, second, "better boxes", "expert", force=True)
    with home.database.read() as conn:
        assert champion(conn, "detector").model_id == second
        decision = show_model(conn, second)["decisions"][0]
    assert (decision["by"], decision["why"], decision["champion_before"]) == ("expert", "better boxes", str(first))
    assert roll_back(home.database, "detector", "it misses infants", "expert")[0] == first
    with home.database.read() as conn:
        assert champion(conn, "detector").model_id == first
        actions = list(conn.scalars(sa.select(t.audit_event.c.action).where(t.audit_event.c.action.like("model.%"))))
    assert actions == ["model.promote", "model.rollback"]


def test_there_is_nothing_to_roll_back_to_without_an_earlier_champion(home):
    """A refused model must not become champion because it was the last that was looked at."""
    register_model(home.database, "detector", "one", {}, state="champion")
    register_model(home.database, "detector", "two", {})
    with pytest.raises(ModelError, match="No detector was champion before"):
        roll_back(home.database, "detector", None, None)


def test_a_head_of_another_embedder_is_not_promoted(home):
    """Its answers to vectors of the champion embedder would be noise."""
    old = register_model(home.database, "embedder", "old", {"dimensions": 4}, state="champion")
    head = register_model(home.database, "head", "h", {}, parent_id=old)
    promote(home.database, register_model(home.database, "embedder", "new", {"dimensions": 4}), "test")
    with pytest.raises(ModelError, match="not the champion embedder"):
        promote_by_hand(home.database, home.store, home.settings, head, "why not", None, force=True)


def test_the_commands_list_show_promote_and_roll_back(home):
    """The commands are the only way in for people who do not write Python."""
    one = register_model(home.database, "detector", "one", {"seed": 20, "code": code_version()}, state="champion")
    two = register_model(home.database, "detector", "two", {})
    listed = json.loads(say(home, "list", "--json"))["models"]
    assert [(m["model_id"], m["state"]) for m in listed] == [(one, "champion"), (two, "candidate")]
    assert "champion" in say(home, "list")
    assert "made again by" in say(home, "show", str(one))
    assert json.loads(say(home, "promote", str(two), "--force", "--why", "a test", "--json"))["model_id"] == two
    assert json.loads(say(home, "rollback", "detector", "--json"))["model_id"] == one
    with home.database.read() as conn:
        assert [m.state for m in list_models(conn, "detector")] == ["champion", "retired"]
    refused = CliRunner().invoke(app, ["models", "show", "99"], env={"CHIMP_HOME": str(home.settings.home)})
    assert isinstance(refused.exception, ModelError)


def test_a_promotion_by_the_gate_is_kept_like_one_by_hand(home):
    """A champion that changed by night with no trace in the audit trail cannot be told from a break-in."""
    first = register_model(home.database, "head", "one", {}, state="champion")
    second = register_model(home.database, "head", "two", {})
    promote_by_gate(home.database, second, "Not worse: 90 % against 89 %.")
    with home.database.read() as conn:
        decision = show_model(conn, second)["decisions"][0]
        assert champion(conn, "head").model_id == second
    assert (decision["by"], decision["action"], decision["champion_before"]) == (None, "model.promote", str(first))
    assert decision["said"] == "the gate says: Not worse: 90 % against 89 %."
