"""Whatever stands in a file: a sentence, and nothing stored."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chimp_assets.errors import ChimpError
from chimp_assets.exchange.imports import import_format
from chimp_assets.exchange.imports.annotations import Reading, ReadOptions
from chimp_assets.exchange.imports.intake.spool import Spool
from chimp_assets.exchange.imports.intake.taking import Wishes, take_in
from chimp_assets.home import Home
from chimp_assets_tests.exchange.imports.pictures import add_pictures, everything

GOOD = {
    "csv": """file,time,frame,track,individual,x,y,w,h,date,score
a/one.mp4,1.5,,7,Fifi,1,2,30,40,2024-05-06,0.5
a/one.mp4,,3,7,Fifi,1,2,30,40,2024-05-06,0.5
""",
    "wildlife_datasets": """path,identity,bbox,date,segmentation
a/1.jpg,Fifi,"[1, 2, 30, 40]",2024-05-06 07:08:09,
a/2.jpg,unknown,,2024-05-06,"[[1, 2, 3, 4, 5, 0]]"
""",
    "wildbook": """Encounter.mediaAsset0,Encounter.mediaAsset1,Name0.value,Encounter.year,Encounter.month,Encounter.day
a.jpg,b.jpg,Fifi,2024,5,6
""",
}
BITS = st.sampled_from(
    [
        *(b",", b'"', b"\n", b"\r", b"\x00", b"\xff", b"nan", b"inf", b"-1", b"1e400", b"9" * 40, b"[[[["),
        *(b"../../etc/passwd", "\u202e".encode(), "\U0001f98d".encode(), b"2024-13-45", b"1:99:99", b"0:61", b"=cmd()"),
        *(b"\xed\xa0\x80", b"a" * 300),
    ]
)


def read_whole(name: str, file: Path) -> Reading | None:
    """All of it, as an import reads it; None where it is refused with a sentence."""
    try:
        reading = import_format(name).read(file, ReadOptions())
        with Spool() as spool:
            spool.fill(reading)
            assert all(isinstance(fault, str) and fault for fault in spool.faults)
        return reading
    except ChimpError as error:
        refused = error
    assert refused.sentence.endswith("."), refused.sentence
    assert refused.remedy
    return None


@pytest.mark.parametrize("name", sorted(GOOD))
def test_a_good_table_is_read(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(GOOD[name])
    reading = read_whole(name, tmp_path / "a.csv")
    assert reading is not None
    assert reading.faults == []


@pytest.mark.parametrize("name", sorted(GOOD))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_table_in_which_bytes_were_cut_or_changed_is_read_or_refused(name: str, tmp_path: Path, data) -> None:
    content = GOOD[name].encode()
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content)))
        until = data.draw(st.integers(place, min(len(content), place + 30)))
        content = content[:place] + data.draw(st.one_of(BITS, st.binary(max_size=8))) + content[until:]
    (tmp_path / "a.csv").write_bytes(content)
    read_whole(name, tmp_path / "a.csv")


def test_what_cannot_be_stores_nothing(home: Home, tmp_path: Path) -> None:
    add_pictures(home.database, ["a/one.mp4"], state="decoded", frames=5)
    before = everything(home.database)
    first = "file,time,track,individual,x,y,w,h\na/one.mp4,0.2,1,Fifi,0.1,0.1,0.2,0.2\n"
    wrong = {
        "ends in quotes": first + 'a/one.mp4,0.4,1,"Fi',
        "no table": "\x00\x01\x02",
        "another table": "a,b\n1,2\n",
        "a number without end": first + "a/one.mp4,0.4,1,Fifi,1e999,0,1,1\n",
        "a name of a surrogate": first + "a/one.mp4,0.4,1,Fi\x00fi,0,0,1,1\n",
        "a name without end": first + f"a/one.mp4,0.4,1,{'F' * 5_000},0,0,1,1\n",
        "a track without end": first + f"a/one.mp4,0.4,{'1' * 5_000},F,0,0,1,1\n",
        "no time": first + "a/one.mp4,99999999999,1,Fifi,0,0,1,1\n",
    }
    for what, text in wrong.items():
        file = tmp_path / "a.csv"
        file.write_text(text)
        with pytest.raises(ChimpError) as refused:
            take_in(home, "csv", file, ReadOptions(), Wishes(new_individuals=True))
        assert refused.value.sentence.endswith("."), what
        assert refused.value.remedy, what
        assert everything(home.database) == before, what


def test_crops_are_folders_and_no_links_are_followed(home: Home, tmp_path: Path) -> None:
    add_pictures(home.database, ["a/1.jpg"])
    folder = tmp_path / "crops"
    (folder / "Fifi").mkdir(parents=True)
    for file, what in ((tmp_path / "none", "no file"), (folder, "no folder with files")):
        with pytest.raises(ChimpError, match=what):
            take_in(home, "crops", file, ReadOptions(), Wishes())
    (folder / "Fifi/1.jpg").write_bytes(b"")
    (folder / "Fifi/.hidden").write_bytes(b"")
    (folder / "beside.jpg").write_bytes(b"")
    (folder / "Fifi/link.jpg").symlink_to(tmp_path / "none")
    (folder / "Fred").symlink_to(folder / "Fifi")
    report = take_in(home, "crops", folder, ReadOptions(), Wishes(new_individuals=True))
    assert (report.media.listed, report.names.made.named) == (1, ["FIFI"])
    assert report.notes == [
        "1 files lie beside the folders of individuals and were left out",
        "2 hidden files, links and files of an operating system were left out",
    ]
