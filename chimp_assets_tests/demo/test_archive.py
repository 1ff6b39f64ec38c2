"""The generated archive: real video, exact truth, the same again for the same seed."""

import hashlib
import subprocess
import sys

import av
import cv2
import numpy as np
import pytest

from chimp_assets.demo.archive import DemoArchiveError, make_archive
from chimp_assets.demo.casting import cast, plan_clips
from chimp_assets.demo.truth import ArchiveTruth, TruthError


def _pictures(file):
    with av.open(str(file)) as container:
        yield from (frame.to_ndarray(format="rgb24") for frame in container.decode(video=0))


def _good(truth):
    return [video for video in truth.videos if not video.damage]


def test_files_are_h264_with_b_frames_and_lie_by_site_camera_and_day(tiny):
    """A demo on files that no camera would write would prove nothing about the decoder."""
    folder, truth = tiny
    assert len(_good(truth)) == 4
    for video in _good(truth):
        site, camera, day, name = video.uri.split("/")
        assert (site, camera) == (video.site, video.camera)
        assert name.startswith(f"{camera}_{day.replace('-', '')}_")
        with av.open(str(folder / video.uri)) as container:
            stream = container.streams.video[0]
            assert stream.codec_context.name == "h264"
            assert stream.codec_context.has_b_frames
            assert (stream.width, stream.height, stream.average_rate) == (video.width, video.height, video.fps)
            kinds = {av.video.frame.PictureType(frame.pict_type).name for frame in container.decode(video=0)}
        assert "B" in kinds


def test_every_second_container_says_when_it_was_recorded(tiny):
    """Both ways of knowing a time must occur, or one of them is never tried in the demo."""
    folder, truth = tiny
    told = []
    for video in _good(truth):
        with av.open(str(folder / video.uri)) as container:
            told.append(container.metadata.get("creation_time"))
            if told[-1]:
                assert told[-1][:19] == video.recorded_at[:19]
    assert None in told
    assert any(told)


def test_something_moves_in_the_true_boxes_and_much_less_outside(tiny):
    """Boxes that are shifted against the picture would make every measured accuracy wrong."""
    folder, truth = tiny
    inside, outside = [], []
    for video in _good(truth):
        grey = [cv2.GaussianBlur(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY), (0, 0), 3) for p in _pictures(folder / video.uri)]
        still = np.median(np.stack(grey), axis=0)
        for animal in video.animals:
            for time_s, box, visible in zip(animal.times_s, animal.boxes, animal.visible, strict=True):
                if visible < 0.8:
                    continue
                x, y, w, h = (box * np.array([640, 360, 640, 360])[[0, 1, 2, 3]]).round().astype(int)
                change = np.abs(grey[round(time_s * video.fps)] - still)
                inside.append(change[y : y + h, x : x + w].mean())
                outside.append(np.median(change))
    assert len(inside) > 20
    assert np.mean(inside) > 2.5 * np.mean(outside)


def test_boxes_lie_in_the_picture_and_times_ascend(tiny):
    """The expert looks animals up by time and box."""
    _, truth = tiny
    for video in truth.videos:
        for animal in video.animals:
            assert animal.times_s == sorted(set(animal.times_s))
            assert 0 <= animal.times_s[0] <= animal.times_s[-1] < video.seconds
            boxes = np.array(animal.boxes)
            assert (boxes >= 0).all()
            assert (boxes[:, :2] + boxes[:, 2:] <= 1.0002).all()
            assert (boxes[:, 2:] > 0).all()


def test_the_damaged_file_keeps_its_beginning_and_the_text_file_is_no_video(tiny):
    """The demo shows that one bad file stops nothing; it needs bad files that are really bad, but not hopeless."""
    folder, truth = tiny
    damaged, text = sorted((v for v in truth.videos if v.damage), key=lambda video: "text" in video.damage)
    pictures: list[np.ndarray] = []
    with pytest.raises(av.FFmpegError):
        pictures.extend(_pictures(folder / damaged.uri))
    assert 0 < len(pictures) < damaged.seconds * damaged.fps
    with pytest.raises(av.FFmpegError):
        list(_pictures(folder / text.uri))


def test_the_same_seed_makes_the_same_bytes_and_another_seed_does_not(tmp_path):
    """Measurements of two versions are only comparable on the same archive."""

    def made(name, seed):
        folder = tmp_path / name
        make_archive(
            folder, tmp_path / f"{name}.json", seed, individuals=3, clips=1, cameras=1, days=1, seconds=2, workers=1
        )
        files = sorted(f for f in folder.rglob("*") if f.is_file())
        digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
        return [str(file.relative_to(folder)) for file in files], digests, (tmp_path / f"{name}.json").read_bytes()

    first, second, other = made("a", 1), made("b", 1), made("c", 2)
    assert first == second
    assert first[1] != other[1]


def test_truth_survives_saving_and_loading(tiny, tmp_path):
    """The expert of a demo that is continued reads the truth from its file."""
    _, truth = tiny
    truth.save(tmp_path / "t.json")
    assert ArchiveTruth.load(tmp_path / "t.json") == truth


def test_a_truth_file_that_is_missing_or_foreign_is_named(tmp_path):
    """A traceback of json would not say which file is meant."""
    with pytest.raises(TruthError, match="does not exist"):
        ArchiveTruth.load(tmp_path / "none.json")
    for content in ("not json", "[]", '{"format": "else"}'):
        (tmp_path / "x.json").write_text(content)
        with pytest.raises(TruthError, match=r"x\.json"):
            ArchiveTruth.load(tmp_path / "x.json")


def test_the_truth_may_not_lie_inside_the_archive(tmp_path):
    """Whoever lists the archive would see the answers."""
    with pytest.raises(DemoArchiveError, match="inside the archive"):
        make_archive(tmp_path / "a", tmp_path / "a" / "truth.json")


@pytest.mark.parametrize(
    "wrong", [{"clips": 0}, {"individuals": 2}, {"individuals": 500}, {"seconds": 0.5}, {"faces": "nowhere"}]
)
def test_impossible_archives_are_refused_with_a_sentence(tmp_path, wrong):
    """An empty or endless archive would fail much later and far away."""
    if "faces" in wrong:
        wrong = {"faces": tmp_path / "nowhere"}
    with pytest.raises(DemoArchiveError):
        make_archive(tmp_path / "a", tmp_path / "t.json", **wrong)
    assert not (tmp_path / "a").exists()


def test_everyone_is_filmed_and_the_newcomer_on_the_last_day_only():
    """Someone whom the head cannot know must turn up late, and nobody may be missing."""
    for seed in range(8):
        members = cast(seed, 10)
        plans = plan_clips(seed, members, cameras=3, days=4, clips=30, seconds=8)
        visits = [(anim_id, plan.day_no) for plan in plans for anim_id in plan.visitors]
        newcomer = members[-1].who.anim_id
        assert {day for anim_id, day in visits if anim_id == newcomer} == {3}
        assert {anim_id for anim_id, _ in visits} == {m.who.anim_id for m in members}
        assert all(len(set(plan.visitors)) == len(plan.visitors) >= 1 for plan in plans)
        assert len({plan.uri for plan in plans}) == len(plans)
        together = [set(plan.visitors) for plan in plans]
        assert any({"FF", "FI"} <= group for group in together), "the mission's query needs Fred with his mother"


def test_two_animals_are_in_one_picture_where_a_clip_has_several(tiny):
    """Without animals side by side there is nothing to ask about associations."""
    _, truth = tiny
    shared = 0
    for video in _good(truth):
        moments = [set(animal.times_s) for animal in video.animals]
        shared += any(a & b for i, a in enumerate(moments) for b in moments[i + 1 :])
    assert shared >= 1


def test_a_child_looks_more_like_its_mother_than_like_others():
    """Relatives that look alike are what makes the demo hard in the way that real archives are."""
    from chimp_assets.demo.faces import child_look, draw_face, new_look

    nearer = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        mother, stranger = new_look(rng), new_look(rng)
        face = [draw_face(look).astype(float) for look in (child_look(mother, rng), mother, stranger)]
        nearer += np.abs(face[0] - face[1]).mean() < np.abs(face[0] - face[2]).mean()
    assert nearer >= 10


def test_photographs_replace_drawn_faces(tmp_path):
    """With --faces the animals must wear the given pictures, under the folders' names."""
    colours = {"Ada": (250, 20, 20), "Bo": (20, 250, 20), "Cy": (20, 20, 250)}
    for name, colour in colours.items():
        (tmp_path / "faces" / name).mkdir(parents=True)
        picture = np.full((60, 50, 3), colour[::-1], np.uint8)
        cv2.imwrite(str(tmp_path / "faces" / name / "1.png"), picture)
    truth = make_archive(
        tmp_path / "a", tmp_path / "t.json", individuals=3, cameras=1, days=1, clips=1, seconds=2.5,
        faces=tmp_path / "faces", workers=1,
    )  # fmt: skip
    assert [i.anim_id for i in truth.individuals] == ["ADA", "BO", "CY"]
    video = _good(truth)[0]
    reddest = {animal.anim_id: 0 for animal in video.animals}
    channel = {"ADA": 0, "BO": 1, "CY": 2}
    for index, picture in enumerate(_pictures(tmp_path / "a" / video.uri)):
        hue = picture.astype(int)
        for animal in video.animals:
            if index / video.fps in animal.times_s:
                own = channel[animal.anim_id]
                rest = [c for c in range(3) if c != own]
                pure = (hue[..., own] - hue[..., rest].max(axis=2)) > 60
                reddest[animal.anim_id] = max(reddest[animal.anim_id], int(pure.sum()))
    assert reddest
    assert max(reddest.values()) > 60


def test_the_module_is_a_command(tmp_path):
    """People who tune the detector make archives from the shell."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "chimp_assets.demo.archive",
            str(tmp_path / "a"),
            "--truth",
            str(tmp_path / "a" / "t.json"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "inside the archive" in done.stderr
    assert "Traceback" not in done.stderr
