"""Which decoding a network needs: all there are, and finding the one whose layout it has.

Belongs here: the list of decodings, the sentence for a network that none or several fit. Does not belong here: layouts
(`decodings`).
"""

from __future__ import annotations

from chimp_assets.vision.detection.interface import DetectorError
from chimp_assets.vision.detection.onnx.decoding import Decoding, Seen
from chimp_assets.vision.detection.onnx.decodings import (
    corner_lists,
    nanodet,
    rt_detr,
    yolo_end_to_end,
    yolo_v5,
    yolo_v8,
    yolox,
)

AUTO = "auto"
DECODINGS: dict[str, Decoding] = {
    one.name: one
    for one in (
        yolo_v5.DECODING,
        yolo_v8.DECODING,
        yolo_end_to_end.DECODING,
        yolox.DECODING,
        yolox.DECODED,
        rt_detr.DECODING,
        rt_detr.DEPLOYED,
        rt_detr.ULTRALYTICS,
        rt_detr.RF_DETR,
        nanodet.DECODING,
        nanodet.DECODING_G,
        corner_lists.TORCHVISION,
        corner_lists.TENSORFLOW,
    )
}


def chosen_decoding(asked: str, seen: Seen, name: str) -> Decoding:
    """The decoding of a network. asked: its name, or auto; seen: what the network gave; name: of the file, for people.

    Raises DetectorError if there is no such decoding, or if not exactly one recognises the network.
    """
    if asked in DECODINGS:
        return DECODINGS[asked]
    if asked != AUTO:
        raise DetectorError(f"There is no decoding {asked!r}.", _remedy())
    found = [one for one in DECODINGS.values() if one.recognises(seen)]
    if len(found) == 1:
        return found[0]
    outputs = ", ".join(
        f"{one.name[:60]} {list(shape)}"
        for one, shape in list(zip(seen.signature.outputs, seen.shapes, strict=True))[:12]
    )
    if found:
        raise DetectorError(
            f"The outputs of {name} ({outputs}) may be those of {' or of '.join(one.name for one in found)}.",
            "Set detect.decoding to the right one.",
        )
    raise DetectorError(f"The outputs of {name} ({outputs}) are those of no known detector.", _remedy())


def _remedy() -> str:
    return f"Set detect.decoding to one of {', '.join(DECODINGS)}."
