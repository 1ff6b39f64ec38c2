"""A disk that is not mounted is seen by the people who use the pages."""

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from chimp_assets.database.footage.archive_state import listing_is_noted
from chimp_assets.errors import ChimpError
from chimp_assets.home import Home

SENTENCE = "The folder /secret/disk does not exist."


@pytest.mark.parametrize("path", ["/", "/data"])
def test_the_first_page_and_the_data_page_say_that_the_archive_is_away_until_it_is_back(
    archive: Home, client: Callable[[str], TestClient], path: str
) -> None:
    person = client("anna")
    assert "could not be read at" not in person.get(path).text
    with pytest.raises(ChimpError), listing_is_noted(archive.database, "/secret/disk"):
        raise ChimpError(SENTENCE, "Create it.")
    shown = person.get(path).text
    assert "The video archive could not be read at" in shown
    assert SENTENCE not in shown, "where files lie is for administrators"
    with listing_is_noted(archive.database, "/secret/disk"):
        pass
    assert "could not be read at" not in person.get(path).text
