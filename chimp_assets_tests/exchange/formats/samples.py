"""Files as the programs write them, small. Each says which version wrote the original that it follows.

Belongs here: texts, and reading them. Does not belong here: what must come of them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from chimp_assets.exchange.imports import import_format
from chimp_assets.exchange.imports.annotations import Box, Medium, Reading, ReadOptions

# MegaDetector 5.0.29, run_detector_batch.py and video_utils.py: images before categories, format 1.5.
MEGADETECTOR: dict[str, Any] = {
    "images": [
        {
            "file": "site1/cam2/IMG_0001.JPG",
            "detections": [
                {"category": "1", "conf": 0.926, "bbox": [0.0, 0.2762, 0.1539, 0.2825]},
                {"category": "2", "conf": 0.061, "bbox": [0.0451, 0.1849, 0.3642, 0.4636]},
            ],
        },
        {
            "file": "site1\\cam2\\clip.mp4",
            "frame_rate": 29.97,
            "frames_processed": [0, 30, 60],
            "detections": [
                {"category": "1", "conf": 0.871, "bbox": [0.1, 0.2, 0.3, 0.4], "frame_number": 0},
                {"category": "1", "conf": 0.774, "bbox": [0.11, 0.21, 0.31, 0.41], "frame_number": 60},
            ],
        },
        {"file": "site1/cam2/empty.JPG", "detections": [], "failure": None},
        {"file": "site1/cam2/torn.JPG", "failure": "Failure image access", "detections": None},
    ],
    "detection_categories": {"1": "animal", "2": "person", "3": "vehicle"},
    "info": {"detection_completion_time": "2025-06-03 10:00:00", "format_version": "1.5", "detector": "md_v5a.0.1.pt"},
}

# kwcoco 0.9: videos, a tracks table, frame_index from 0.
KWCOCO: dict[str, Any] = {
    "info": [],
    "categories": [{"id": 1, "name": "chimpanzee"}],
    "videos": [{"id": 1, "name": "cam1/20130506_070800.mp4", "width": 320, "height": 180}],
    "images": [
        {"id": 10, "file_name": "f0.png", "video_id": 1, "frame_index": 0, "width": 320, "height": 180},
        {"id": 11, "file_name": "f5.png", "video_id": 1, "frame_index": 5, "width": 320, "height": 180},
        {"id": 12, "file_name": "IMG_1.JPG", "width": 4000, "height": 3000},
    ],
    "tracks": [{"id": 7, "name": "Frodo"}, {"id": 8, "name": "track_8"}],
    "annotations": [
        {"id": 1, "image_id": 10, "category_id": 1, "bbox": [10, 20, 30.5, 40], "track_id": 7, "score": 0.5},
        {"id": 2, "image_id": 11, "category_id": 1, "bbox": [11, 21, 30, 40], "track_id": 7},
        {"id": 3, "image_id": 11, "category_id": 1, "bbox": [50, 60, 7, 8], "track_id": 8},
        {"id": 4, "image_id": 12, "category_id": 1, "bbox": [1, 2, 3, 4], "attributes": {"identity": "Kuni"}},
    ],
}

# CVAT 2.31, "CVAT for video 1.1" of a task of every 5th frame from 100 on.
CVAT_VIDEO = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta>
    <task>
      <id>42</id><name>pool</name><size>3</size><mode>interpolation</mode><overlap>0</overlap><bugtracker></bugtracker>
      <created>2025-01-01 10:00:00.000000+00:00</created><updated>2025-01-02 10:00:00.000000+00:00</updated>
      <subset>default</subset><start_frame>100</start_frame><stop_frame>110</stop_frame>
      <frame_filter>step=5</frame_filter>
      <segments><segment><id>1</id><start>0</start><stop>2</stop><url>http://localhost/api/jobs/1</url></segment></segments>
      <owner><username>ann</username><email>a@b</email></owner><assignee></assignee>
      <labels><label><name>chimp</name><color>#ff00ff</color><type>any</type><attributes><attribute><name>individual</name>
        <mutable>False</mutable><input_type>text</input_type><default_value></default_value><values></values></attribute>
      </attributes></label></labels>
      <original_size><width>320</width><height>180</height></original_size>
      <source>zamba chimp.mp4</source>
    </task>
    <dumped>2025-01-03 10:00:00.000000+00:00</dumped>
  </meta>
  <track id="0" label="chimp" source="manual">
    <box frame="100" keyframe="1" outside="0" occluded="0" xtl="10.00" ytl="20.00" xbr="40.50" ybr="60.00" z_order="0">
      <attribute name="individual">Frodo &amp; Co</attribute>
    </box>
    <box frame="105" keyframe="0" outside="0" occluded="0" xtl="12.00" ytl="20.00" xbr="42.50" ybr="60.00" z_order="0">
      <attribute name="individual">Frodo &amp; Co</attribute>
    </box>
    <box frame="110" keyframe="1" outside="1" occluded="0" xtl="12.00" ytl="20.00" xbr="42.50" ybr="60.00" z_order="0">
      <attribute name="individual">Frodo &amp; Co</attribute>
    </box>
  </track>
  <track id="1" label="chimp" source="manual">
    <polygon frame="100" keyframe="1" outside="0" occluded="0" points="1,2;3,4;5,6" z_order="0"></polygon>
  </track>
</annotations>
"""

# CVAT 2.31, "CVAT for images 1.1".
CVAT_IMAGES = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta><task><id>43</id><name>faces</name><size>2</size><mode>annotation</mode></task></meta>
  <image id="0" name="day1/IMG_0001.JPG" width="4000" height="3000">
    <box label="chimp" source="manual" occluded="0" xtl="1.00" ytl="2.00" xbr="4.00" ybr="6.00" z_order="0">
      <attribute name="name">Kuni</attribute>
    </box>
    <tag label="infant" source="manual"></tag>
  </image>
  <image id="1" name="day1/IMG_0002.JPG" width="4000" height="3000"></image>
</annotations>
"""

# DIVE 1.9 (dive:python) of a video that is annotated at 5 frames a second.
DIVE = (
    "# 1: Detection or Track-id,2: Video or Image Identifier,3: Unique Frame Identifier,4-7: Img-bbox(TL_x,TL_y,BR_x,"
    "BR_y),8: Detection or Length Confidence,9: Target Length (0 or -1 if invalid),10-11+: Repeated Species,Confidence "
    "Pairs or Attributes\r\n"
    '# metadata,fps: 5,"exported_by: ""dive:python""","exported_time: ""Mon Jun  2 10:00:00 2025"""\r\n'
    "0,00:00:00.000000,0,10,20,40,60,0.9,-1,chimp,0.9,dog,0.1,(atr) pose sitting,(trk-atr) individual Old Kuni\r\n"
    "0,00:00:02.200000,11,12,20,42,60,0.9,-1,chimp,0.9,dog,0.1,(kp) head 3 4\r\n"
    "5,00:00:02.200000,11,1,2,3,4,1.0,12.5,dog,1.0\r\n"
)
# VIAME 0.20 of a list of pictures: no metadata, numbers with decimals.
VIAME_PICTURES = (
    "# 1: Detection or Track-id,  2: Video or Image Identifier,  3: Unique Frame Identifier\n"
    "# Written on: Mon Jun  2 10:00:00 2025   by: write_object_track_set_viame_csv\n"
    "3,IMG_0001.png,0,10.5,20,40.25,60,0.87,-1,chimp,0.87\n"
    "3,IMG_0002.png,1,11.5,20,41.25,60,0.86,-1,chimp,0.86\n"
)

# MOT17's gt.txt, and seqinfo.ini beside its folder.
MOT_TRUTH = (
    "1,1,912,484,97,109,1,1,1\n2,1,912.5,484,97,109,1,1,0.86\n"
    "2,2,5,6,7,8,0,1,1\n2,2147483648123,5,6,7,8,1,2,0.5\n"
)  # fmt: skip
MOT_INFO = "[Sequence]\nname=clip1\nimDir=img1\nframeRate=30\nseqLength=600\nimWidth=1920\nimHeight=1080\nimExt=.jpg\n"
MOT_DETECTIONS = "1,-1,1359.1,413.27,120.26,362.77,0.9,-1,-1,-1\n2,-1,571.03,402.13,104.56,315.68,2.8,-1,-1,-1\n"

# VIA 2.0.12, a project.
VIA2: dict[str, Any] = {
    "_via_settings": {"ui": {}, "core": {"filepath": {}}, "project": {"name": "faces"}},
    "_via_img_metadata": {
        "IMG_1.JPG1234": {
            "filename": "IMG_1.JPG",
            "size": 1234,
            "regions": [
                {
                    "shape_attributes": {"name": "rect", "x": 10, "y": 20, "width": 30, "height": 40},
                    "region_attributes": {"name": "Kuni", "species": "chimp"},
                },
                {
                    "shape_attributes": {"name": "polygon", "all_points_x": [1, 5, 3], "all_points_y": [2, 2, 9]},
                    "region_attributes": {"identity": {"Frodo": True}},
                },
                {"shape_attributes": {"name": "point", "cx": 1, "cy": 2}, "region_attributes": {}},
            ],
            "file_attributes": {"caption": "", "public_domain": "no"},
        }
    },
    "_via_attributes": {"region": {}, "file": {}},
    "_via_data_format_version": "2.0.10",
    "_via_image_id_list": ["IMG_1.JPG1234"],
}

# VIA 3.0.11, a project of a video and a picture: metadata before views.
VIA3: dict[str, Any] = {
    "project": {"pid": "__VIA_PROJECT_ID__", "data_format_version": "3.1.2", "vid_list": ["1", "2"]},
    "config": {"file": {"loc_prefix": {"1": "", "2": "", "3": "", "4": ""}}, "ui": {}},
    "attribute": {
        "1": {"aname": "Individual", "anchor_id": "FILE1_Z2_XY0", "type": 4, "options": {"0": "Frodo", "1": "Kuni"}},
        "2": {"aname": "track_id", "anchor_id": "FILE1_Z1_XY1", "type": 1, "options": {}},
    },
    "file": {
        "1": {"fid": "1", "fname": "clip.mp4", "type": 4, "loc": 1, "src": ""},
        "2": {"fid": "2", "fname": "IMG_1.JPG", "type": 2, "loc": 1, "src": ""},
    },
    "metadata": {
        "1_ysf4qqfC": {"vid": "1", "flg": 0, "z": [1.5, 4.25], "xy": [], "av": {"1": "0"}},
        "1_yQCRxO4z": {"vid": "1", "flg": 0, "z": [2.5], "xy": [2, 10, 20, 30, 40], "av": {"1": "1", "2": "12"}},
        "2_psxAWPPc": {"vid": "2", "flg": 0, "z": [], "xy": [4, 10, 10, 3, 4], "av": {"1": "1"}},
        "2_point": {"vid": "2", "flg": 0, "z": [], "xy": [1, 10, 10], "av": {}},
    },
    "view": {"1": {"fid_list": ["1"]}, "2": {"fid_list": ["2"]}},
}

# Camtrap DP 1.0.1, columns of its example dataset.
CAMTRAPDP = {
    "datapackage.json": json.dumps(
        {
            "profile": "https://raw.githubusercontent.com/tdwg/camtrap-dp/1.0.1/camtrap-dp-profile.json",
            "name": "pool",
            "resources": [
                {"name": name, "path": f"{name}.csv", "profile": "tabular-data-resource"}
                for name in ("deployments", "media", "observations")
            ],
        }
    ),
    "deployments.csv": "deploymentID,locationID,locationName,latitude,longitude,deploymentStart,deploymentEnd,"
    "cameraID\n"
    "d1,l1,Pool,-4.67,29.62,2013-05-01T00:00:00Z,2013-06-01T00:00:00Z,cam2\n",
    "media.csv": "mediaID,deploymentID,timestamp,filePath,filePublic,fileMediatype\n"
    "m1,d1,2013-05-06T07:08:00+02:00,media/clip.mp4,false,video/mp4\n"
    "m2,d1,2013-05-06T08:00:00Z,media/IMG_1.JPG,false,image/jpeg\n"
    "m3,d1,2013-05-06T08:00:01Z,media/IMG_2.JPG,false,image/jpeg\n",
    "observations.csv": "observationID,deploymentID,mediaID,eventID,eventStart,eventEnd,observationLevel,"
    "observationType,scientificName,count,individualID,bboxX,bboxY,bboxWidth,bboxHeight,classificationMethod,classifiedBy,"
    "classificationProbability\n"
    "o1,d1,m1,e1,2013-05-06T07:08:02.5+02:00,2013-05-06T07:08:02.5+02:00,media,animal,Pan troglodytes,1,FF,"
    "0.1,0.2,0.3,0.4,human,Jane,\n"
    "o2,d1,m2,e2,2013-05-06T08:00:00Z,2013-05-06T08:00:00Z,media,animal,Pan troglodytes,2,KU,,,,,machine,net,0.75\n"
    "o3,d1,,e1,2013-05-06T05:08:00Z,2013-05-06T05:08:30Z,event,animal,Pan troglodytes,,GM,,,,,human,Jane,\n"
    "o4,d1,,e2,2013-05-06T08:00:00Z,2013-05-06T08:00:01Z,event,animal,Pan troglodytes,,GM,,,,,human,Jane,\n"
    "o5,d1,m3,e2,2013-05-06T08:00:01Z,2013-05-06T08:00:01Z,media,blank,,,,,,,,human,Jane,\n",
}


def read(name: str, path: Path, **stated: Any) -> tuple[list[Medium], list[Box], Reading]:
    """Everything of a file, read twice: both must be the same."""
    first = import_format(name).read(path, ReadOptions(**stated))
    found = list(first.media), list(first.boxes)
    again = import_format(name).read(path, ReadOptions(**stated))
    assert (list(again.media), list(again.boxes)) == found
    assert (again.notes, again.frame_base, again.said_by) == (first.notes, first.frame_base, first.said_by)
    keys = [one.key for one in found[0]]
    assert len(set(keys)) == len(keys)
    assert {box.medium for box in found[1]} <= set(keys)
    return (*found, first)


def read_text(name: str, folder: Path, text: str | dict[str, Any], file: str = "", **stated: Any) -> Any:
    """The same of a text, or of an object as JSON, written into the folder."""
    path = folder / (file or f"file{import_format(name).suffixes[0]}")
    path.write_bytes((text if isinstance(text, str) else json.dumps(text)).encode())
    return read(name, path, **stated)


def write_package(folder: Path, files: dict[str, str] = CAMTRAPDP) -> Path:
    """A Camtrap DP in a folder; returns its descriptor."""
    for name, text in files.items():
        (folder / name).write_bytes(text.encode())
    return folder / "datapackage.json"
