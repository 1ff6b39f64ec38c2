"""A database, a store and an archive folder for the tests of this folder."""

import shutil

import pytest

from chimp_assets.archive.storage.store import BlobStore
from chimp_assets.database.connection.engine import Database
from chimp_assets.settings import Settings, load_settings


class Place:
    """One home: settings, database (a copy of `migrated`), store. Several of them may look at the same archive."""

    def __init__(self, folder, archive_folder, migrated, **overrides):
        folder.mkdir(parents=True)
        self.settings: Settings = load_settings(folder, archive_url=str(archive_folder), **overrides)
        self.db = Database(self.settings.database_url)
        shutil.copy(migrated, self.db.file)
        self.store = BlobStore.open(self.settings.store_url, create=True)

    @property
    def archive(self):
        return BlobStore.open(self.settings.archive_url)


@pytest.fixture
def archive_folder(tmp_path):
    folder = tmp_path / "archive"
    folder.mkdir()
    return folder


@pytest.fixture
def make_place(tmp_path, archive_folder, migrated_sqlite):
    made = []

    def make(name="home", **overrides):
        place = Place(tmp_path / name, archive_folder, migrated_sqlite, **overrides)
        made.append(place)
        return place

    yield make
    for place in made:
        place.db.dispose()


@pytest.fixture
def place(make_place):
    """A home that decodes in this process: starting children costs a test more than its work."""
    return make_place(decode={"workers": 0})
