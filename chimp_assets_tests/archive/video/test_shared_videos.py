"""The collected real and tricky files: every one is either decoded as displayed or refused in words."""

import csv

import pytest
import simplejpeg

from chimp_assets.archive.video.decode import DecodeReport, decode_frames
from chimp_assets.archive.video.probe import UnreadableVideoError
from chimp_assets.settings import DecodeSettings
from chimp_assets_tests.archive.probing import facts_of
from chimp_assets_tests.paths import SHARED_DATA

pytestmark = pytest.mark.skipif(not (SHARED_DATA / "tricky").is_dir(), reason="the collected videos are not here")

# Files without a picture that anything could decode: sound only, encrypted, headers without a film, cut to nothing.
HOPELESS = {
    "mozilla_mp4parse_capi_tests_bipbop_cbcs_video_init.mp4",
    "mozilla_mp4parse_capi_tests_chunk_out_of_range.mp4",
    "mozilla_mp4parse_capi_tests_opus_audioinit.mp4",
    "mozilla_mp4parse_capi_tests_short-cenc.mp4",
    "mozilla_mp4parse_capi_tests_zero_empty_stsc.mp4",
    "mozilla_mp4parse_tests_amr_wb_1f.3gp",
    "mozilla_mp4parse_tests_bipbop_480wp_1001kbps-cenc-video-key1-init.mp4",
    "mozilla_mp4parse_tests_bipbop_cbcs_video_init.mp4",
    "mozilla_mp4parse_tests_test_case_1185230.mp4",
    "ttlequals0_tests_fixtures_media_samples_corrupted.mp4",
    "ttlequals0_tests_fixtures_media_samples_valid.3gp",
    "ttlequals0_tests_fixtures_media_samples_valid.flv",
    "ttlequals0_tests_fixtures_media_samples_valid.mpeg",
    "ttlequals0_tests_fixtures_media_samples_valid.wmv",
}
# Their manifest lists the smaller of two streams.
TWO_STREAMS = {"meta-pytorch_test_resources_nasa_13013.mp4"}


def _listed(folder):
    manifest = SHARED_DATA / folder / "manifest.csv"
    if not manifest.is_file():
        return []
    with manifest.open() as file:
        rows = list(csv.DictReader(file))
    return [pytest.param(folder, row, id=row["file"]) for row in rows if not row["file"].endswith((".heic", ".gif"))]


@pytest.mark.parametrize(("folder", "row"), [*_listed("tricky"), *_listed("videos")])
def test_each_file_is_decoded_as_displayed_or_refused_in_words(folder, row):
    """The second opinion is ffprobe's, in the manifest: size, pixel aspect, rotation, length."""
    path = SHARED_DATA / folder / row["file"]
    settings = DecodeSettings(fps=2, longest_side=160)
    if row["file"] in HOPELESS:
        with pytest.raises(UnreadableVideoError) as told:
            list(decode_frames(path, settings, DecodeReport()))
        assert told.value.sentence.startswith(row["file"])
        assert told.value.remedy
        return
    facts = facts_of(path)
    shown = [simplejpeg.decode_jpeg(k.jpeg) for k in decode_frames(path, settings, DecodeReport())]
    assert shown
    assert len({s.shape for s in shown}) == 1
    if row["file"] in TWO_STREAMS:
        return
    rotation = int(row["rotation"] or 0)
    num, den = (int(v) for v in (row["sar"] or "1:1").split(":"))
    size = (max(1, round(int(row["width"]) * num / den)), int(row["height"]))
    assert (facts.width, facts.height) == (size[::-1] if rotation % 180 else size)
    # ffprobe counts rotation the other way round.
    assert facts.rotation == -rotation % 360
    assert max(shown[0].shape[:2]) == min(160, max(facts.width, facts.height))
    if row["duration"] and facts.duration_s:
        assert facts.duration_s == pytest.approx(float(row["duration"]), abs=0.2)
