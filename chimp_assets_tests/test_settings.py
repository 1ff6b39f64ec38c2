"""Settings: who wins, what is refused, and in which words."""

from pathlib import Path

import pytest

from chimp_assets.errors import SettingsError
from chimp_assets.settings import TOML_NAME, load_settings, shipped_file


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(tmp_path, monkeypatch):
    (tmp_path / TOML_NAME).write_text("seed = 7\n[decode]\nfps = 2.0\njpeg_quality = 70\n")
    monkeypatch.setenv("CHIMP_DECODE__FPS", "3")

    settings = load_settings(tmp_path)

    assert (settings.decode.fps, settings.decode.jpeg_quality, settings.seed) == (3.0, 70, 7)
    assert settings.decode.longest_side == 640


def test_database_and_store_lie_in_the_home_unless_they_are_named(tmp_path, monkeypatch):
    monkeypatch.delenv("CHIMP_DATABASE_URL", raising=False)
    settings = load_settings(tmp_path)
    assert settings.database_url == f"sqlite:///{tmp_path / 'chimp.db'}"
    assert settings.store_url == (tmp_path / "store").as_uri()

    monkeypatch.setenv("CHIMP_DATABASE_URL", "postgresql+psycopg://u:secret@host/db")
    assert "secret" not in load_settings(tmp_path).secret_free_database_url


@pytest.mark.parametrize(
    ("toml", "named"),
    [
        ("[decode]\nfsp = 2.0\n", "decode.fsp"),
        ('[words]\nenglish = "a chimpanzee"\n', "words"),
        ('[words]\nen = "a {chimpanzee}"\n', "words"),
        ('[words]\nen = " "\n', "words"),
        ("[acquisition]\nbatch = 0\n", "acquisition.batch"),
        ("[acquisition]\nwarm_shares = {boundary = 1.0}\n", "acquisition"),
        ("[acquisition]\ncold_shares = {typical = 0.5, audit = 0.2}\n", "acquisition"),
    ],
)
def test_a_misspelt_or_impossible_setting_is_named_and_never_ignored(tmp_path, toml, named):
    """A misspelt key that is ignored leaves the user with the default and no idea why."""
    (tmp_path / TOML_NAME).write_text(toml)
    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path)
    assert named in caught.value.sentence
    assert TOML_NAME in caught.value.remedy


def test_a_file_that_is_not_toml_is_a_sentence(tmp_path):
    (tmp_path / TOML_NAME).write_text("archive_url = /no/quotes\n")
    with pytest.raises(SettingsError, match="not valid TOML"):
        load_settings(tmp_path)


def test_settings_cannot_be_changed_after_they_are_read(tmp_path):
    settings = load_settings(tmp_path)
    with pytest.raises(Exception, match="frozen"):
        settings.seed = 1


def test_the_sql_and_the_instance_file_are_found_in_a_checkout():
    assert shipped_file("dagster.yaml").read_text().startswith("# Dagster's instance")
    assert (shipped_file("sql") / "migrations").is_dir()
    with pytest.raises(SettingsError):
        shipped_file("no-such-file")


def test_every_setting_of_the_demo_is_known(tmp_path):
    from chimp_assets.demo.run import DEMO_TOML

    (tmp_path / TOML_NAME).write_text(DEMO_TOML.format(archive=Path("/videos")))
    assert load_settings(tmp_path).acquisition.batch == 36
