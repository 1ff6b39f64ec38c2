"""The identity benchmark: its splits, its intervals, and the awkward data sets it is given."""

import json

import cv2
import numpy as np
import pytest

from benchmarks.identity import main
from benchmarks.support.crops import CropsError, held_out, interval, read_table
from chimp_assets_tests.vision.embedding.test_metric_learning import striped


@pytest.fixture
def folder(tmp_path):
    """Stripes of four individuals in four sessions each, as files of several kinds, and what people send besides."""
    pictures, target = striped(n_classes=4, each=12)
    lines = ["path,individual,session,photo"]
    for number, (picture, one) in enumerate(zip(pictures, target, strict=True)):
        name = f"{number}.{'png' if number % 2 else 'jpg'}"
        grey = picture[..., 0] if number % 3 == 0 else picture
        cv2.imwrite(str(tmp_path / name), cv2.resize(grey, (40 + number, 30)))
        lines.append(f"{name},{one},s{one}-{number % 4},{number}")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    lines += ["nowhere.jpg,3,s9,98", "broken.jpg,3,s9,99", "1.png,once,s10,100"]
    (tmp_path / "crops.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_it_reads_any_picture_and_says_what_it_left_out(folder):
    """A missing file that ends the run, or that nobody hears of, makes the numbers of two people differ."""
    table = read_table(folder / "crops.csv")
    assert (len(table.pictures), table.n_individuals) == (48, 4)
    assert table.notes == [
        "1 individuals with too few photos (1 crops) left out",
        "2 pictures are missing or no pictures, the first is nowhere.jpg",
    ]


def test_a_csv_without_its_columns_is_refused_with_a_sentence(tmp_path, capsys):
    """A traceback tells a stranger nothing about his file."""
    (tmp_path / "crops.csv").write_text("file,name\na.jpg,A\n")
    assert main(["--crops", str(tmp_path / "crops.csv")]) == 2
    assert "needs a heading with the columns path, individual" in capsys.readouterr().err
    with pytest.raises(CropsError, match="cannot be read"):
        read_table(tmp_path / "nowhere.csv")


def test_photos_stand_in_for_sessions_that_are_missing(folder):
    """Without a session every crop would be one group, and nothing could be kept for the test."""
    text = (folder / "crops.csv").read_text().replace("path,individual,session,photo", "path,individual,visit,photo")
    (folder / "crops.csv").write_text(text)
    assert len(np.unique(read_table(folder / "crops.csv").group)) == 48


def test_a_session_lies_on_one_side_and_every_individual_on_the_teaching_one():
    """A burst on both sides doubles the accuracy of near-copies; an individual never taught cannot be named."""
    rng = np.random.default_rng(0)
    target = np.repeat(np.arange(20), 15)
    group = target * 10 + rng.integers(0, 6, 300)
    group[::40] = 999  # a session that several individuals share
    for seed in range(20):
        test = held_out(target, group, np.random.default_rng(seed), 0.25)
        assert 0.15 < test.mean() < 0.32
        assert not set(group[test]) & set(group[~test])
        assert set(target[~test]) == set(range(20))


def test_the_interval_of_splits_that_share_crops_is_wider_than_that_of_independent_ones():
    """Five splits of one data set are not five data sets."""
    values = np.array([0.6, 0.7, 0.65, 0.72, 0.58])
    low, high = interval(values, 0.0)
    wider = interval(values, 1 / 3)
    assert wider[0] < low < values.mean() < high < wider[1]
    assert high - low == pytest.approx(2 * 2.776 * values.std(ddof=1) / np.sqrt(5), rel=1e-3)


@pytest.mark.long
def test_it_ends_with_one_line_that_holds_every_number_with_its_interval(folder, capsys):
    """A run of a quarter of an hour that ends without its numbers is lost."""
    assert main(["--crops", str(folder / "crops.csv"), "--json", "--splits", "2", "--minutes", "0.01"]) == 0
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    for name in ("top1", "top5", "macro_accuracy", "open_set_auroc", "ece", "grey_pixels_1nn_top1"):
        assert 0 <= line[name] <= 1
        low, high = line[f"{name}_interval"]
        assert low <= line[name] <= high
    assert (line["splits"], line["individuals"]) == (2, 4)
    assert line["top1"] > 0.5
