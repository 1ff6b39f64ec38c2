"""What Dagster shows of a decoded bundle."""

import base64
import re
import shutil

import dagster as dg
import pytest
import simplejpeg

from chimp_assets.archive.catalogue.discover import discover
from chimp_assets.assets.archive import frames
from chimp_assets.assets.parts import MAX_PLOT_BYTES
from chimp_assets.home import Home
from chimp_assets.resources import HomeResource
from chimp_assets.vision.pictures.contact_sheet import bundle_sheet
from chimp_assets_tests.archive.clips import make_clip


@pytest.fixture
def filmed(home, tmp_path):
    """A home whose archive holds two clips, a copy of one, and a file that is no video; listed, not decoded."""
    cam = tmp_path / "archive" / "site" / "cam"
    make_clip(cam / "1.mp4", 50)
    make_clip(cam / "2.mp4", 30, size=(96, 128))
    shutil.copyfile(cam / "1.mp4", cam / "3.mp4")
    (cam / "4.mp4").write_bytes(b"no video")
    opened = Home.open(home.settings.home, archive_url=str(tmp_path / "archive"))
    discover(opened.database, opened.archive, opened.settings)
    return opened


def sheet_of(metadata) -> bytes:
    text = metadata["contact_sheet"].value
    found = re.fullmatch(r"!\[kept frames\]\(data:image/jpeg;base64,([A-Za-z0-9+/=]+)\)", text)
    assert found
    return base64.b64decode(found.group(1))


def test_a_bundle_is_one_event_with_its_numbers_and_a_picture(filmed, monkeypatch):
    """An event for each frame would fill Dagster's database; a number without a picture hides a wrong rotation."""
    monkeypatch.setenv("CHIMP_ARCHIVE_URL", filmed.settings.archive_url)
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("bundle", ["site_cam-0001"])
        done = dg.materialize(
            [frames],
            instance=instance,
            partition_key="site_cam-0001",
            resources={"home": HomeResource(path=str(filmed.settings.home))},
        )
    events = done.asset_materializations_for_node("frames")
    assert len(events) == 1
    metadata = events[0].metadata
    numbers = {key: metadata[key].value for key in ("videos", "failed", "lost_something", "duplicates")}
    assert numbers == {"videos": 2, "failed": 1, "lost_something": 0, "duplicates": 1}
    assert metadata["dagster/row_count"].value > 0
    assert metadata["bytes"].value > 0
    assert metadata["seconds"].value > 0
    hours = metadata["hours_of_video"].value
    assert metadata["times_real_time"].value == pytest.approx(hours * 3600 / metadata["seconds"].value)
    assert "4.mp4" in metadata["failed_files"].value
    sheet = sheet_of(metadata)
    assert len(sheet) <= MAX_PLOT_BYTES
    assert simplejpeg.decode_jpeg_header(sheet)[:2] == (3 * 150, 4 * 200)


def test_a_contact_sheet_keeps_to_its_bytes_and_a_bundle_without_frames_has_none(filmed):
    from chimp_assets.archive.ingest import decode_bundle

    db, store = filmed.database, filmed.store
    assert bundle_sheet(db, store, "site_cam-0001") is None
    decode_bundle(db, filmed.archive, store, "site_cam-0001", filmed.settings)
    whole = bundle_sheet(db, store, "site_cam-0001")
    small = bundle_sheet(db, store, "site_cam-0001", max_bytes=len(whole) - 1)
    assert len(small) < len(whole)
    assert bundle_sheet(db, store, "site_cam-0001", max_bytes=100) is None
    one = bundle_sheet(db, store, "site_cam-0001", pictures=1)
    assert simplejpeg.decode_jpeg_header(one)[:2] == (150, 200)
