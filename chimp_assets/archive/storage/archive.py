"""The archive of a home as a store.

Belongs here: opening it, and the error that says why it cannot be used. Light: no SQL, no video.
Does not belong here: what it holds (`catalogue`), stores in general (`store`).
"""

from __future__ import annotations

from chimp_assets.archive.storage.store import BlobStore, StoreError
from chimp_assets.errors import ChimpError
from chimp_assets.settings import Settings


class ArchiveError(ChimpError):
    """The archive is not named, missing, unreadable or empty."""


def open_archive(settings: Settings) -> BlobStore:
    """The archive of the settings. Raises ArchiveError if it is not named, missing or unreadable."""
    if not settings.archive_url:
        raise ArchiveError(
            "No archive is named.", "Set CHIMP_ARCHIVE_URL or archive_url in chimp.toml to the folder of your videos."
        )
    try:
        return BlobStore.open(settings.archive_url)
    except StoreError as error:
        raise ArchiveError(f"The archive cannot be opened: {error.sentence}", error.remedy) from error
