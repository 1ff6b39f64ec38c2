"""Networks that find one red rectangle exactly, with the head of each published detector, as ONNX files.

Belongs here: the rectangle in the pixels of the input, and each head's way to say where it is, written from the layouts
that its authors publish and without the product's decodings. Does not belong here: what is tested with them.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

CLASSES = 3
SEEN_CLASS = 1
SCORE = 0.9
STRIDES = (8, 16, 32)


def picture_of(height: int, width: int, box: tuple[int, int, int, int]) -> np.ndarray:
    """u8 [height, width, 3] RGB: dark blue, with a red rectangle x1, y1, x2, y2."""
    picture = np.full((height, width, 3), (10, 20, 90), np.uint8)
    picture[box[1] : box[3], box[0] : box[2]] = (250, 10, 10)
    return picture


class RedBox(nn.Module):
    """Where red is: corners f32 [n, 4] in pixels of the input. red: the channel that holds it; scale, shift: values
    times scale plus shift are 0 to 255."""

    def __init__(self, red: int = 0, scale: float = 255.0, shift: float = 0.0) -> None:
        super().__init__()
        self.red, self.scale, self.shift = red, scale, shift

    def forward(self, pictures: Tensor) -> Tensor:
        values = pictures.float() * self.scale + self.shift
        hit = ((values[:, self.red] > 130) & (values[:, 2 - self.red] < 50)).float()
        columns, rows = hit.amax(1), hit.amax(2)
        return torch.stack([_first(columns), _first(rows), _last(columns), _last(rows)], 1)


def _first(line: Tensor) -> Tensor:
    place = torch.arange(line.shape[1]).float()
    return (place + (1 - line) * 1e4).amin(1).clamp(max=line.shape[1])


def _last(line: Tensor) -> Tensor:
    place = torch.arange(line.shape[1]).float() + 1
    return (place * line).amax(1)


def centres(corners: Tensor) -> Tensor:
    """Corners as centre x, y, width, height; no box is one of no size."""
    size = (corners[:, 2:] - corners[:, :2]).clamp(min=0)
    return torch.cat([corners[:, :2] + size / 2, size], 1)


def grid(side: tuple[int, int], strides: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Column and row of each cell, and its stride."""
    cells, sizes = [], []
    for stride in strides:
        row, column = torch.meshgrid(torch.arange(side[0] // stride), torch.arange(side[1] // stride), indexing="ij")
        cells.append(torch.stack([column.flatten(), row.flatten()], 1).float())
        sizes.append(torch.full((row.numel(), 1), float(stride)))
    return torch.cat(cells), torch.cat(sizes)


class Head(nn.Module):
    """A head on the rectangle. side: of the input (height, width)."""

    def __init__(self, side: tuple[int, int], red: RedBox | None = None, classes: int = CLASSES) -> None:
        super().__init__()
        self.side, self.red, self.classes = side, red or RedBox(), classes

    def scores(self, n: Tensor, k: int) -> Tensor:
        """f32 [n, k, classes]: the class that is seen in every seventh box, others low."""
        one = torch.full((k, self.classes), 0.01)
        one[::7, min(SEEN_CLASS, self.classes - 1)] = SCORE
        return one.expand(n.shape[0], k, self.classes)

    def everywhere(self, boxes: Tensor, k: int) -> Tensor:
        return boxes[:, None].expand(boxes.shape[0], k, 4)


class YoloV5Head(Head):
    def forward(self, pictures: Tensor) -> Tensor:
        boxes = centres(self.red(pictures))
        k = 3 * len(grid(self.side, STRIDES)[0])
        object_score = torch.full((boxes.shape[0], k, 1), 1.0)
        return torch.cat([self.everywhere(boxes, k), object_score, self.scores(boxes, k)], 2)


class YoloV8Head(Head):
    turned = False

    def forward(self, pictures: Tensor) -> Tensor:
        boxes = centres(self.red(pictures))
        k = len(grid(self.side, STRIDES)[0])
        rows = torch.cat([self.everywhere(boxes, k), self.scores(boxes, k)], 2)
        return rows if self.turned else rows.transpose(1, 2)


class TurnedYoloV8Head(YoloV8Head):
    turned = True


class YoloEndToEndHead(Head):
    def forward(self, pictures: Tensor) -> Tensor:
        corners = self.red(pictures)
        found = torch.cat(
            [corners, torch.full((corners.shape[0], 1), SCORE), torch.full((corners.shape[0], 1), 1.0)], 1
        )
        return torch.cat([found[:, None], torch.zeros(corners.shape[0], 299, 6)], 1)


class YoloV7EndToEndHead(Head):
    def forward(self, pictures: Tensor) -> Tensor:
        corners = self.red(pictures)
        one = torch.ones(corners.shape[0], 1)
        return torch.cat([one * 0, corners, one * SEEN_CLASS, one * SCORE], 1)


class YoloXHead(Head):
    def forward(self, pictures: Tensor) -> Tensor:
        boxes = centres(self.red(pictures))
        cell, stride = grid(self.side, STRIDES)
        raw = torch.cat([boxes[:, None, :2] / stride - cell, (boxes[:, None, 2:].clamp(min=0.01) / stride).log()], 2)
        object_score = torch.full((boxes.shape[0], len(cell), 1), 1.0)
        return torch.cat([raw, object_score, self.scores(boxes, len(cell))], 2)


class DecodedYoloXHead(Head):
    def forward(self, pictures: Tensor) -> Tensor:
        boxes = centres(self.red(pictures))
        k = len(grid(self.side, STRIDES)[0])
        return torch.cat([self.everywhere(boxes, k), torch.ones(boxes.shape[0], k, 1), self.scores(boxes, k)], 2)


class DetrHead(Head):
    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        boxes = centres(self.red(pictures)) / torch.tensor([self.side[1], self.side[0]] * 2)
        scores = self.scores(boxes, 300).clamp(0.001, 0.999)
        return torch.log(scores / (1 - scores)), self.everywhere(boxes, 300)


class DeployedDetrHead(Head):
    def forward(self, pictures: Tensor, orig_target_sizes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        corners = self.red(pictures) / torch.tensor([self.side[1], self.side[0]] * 2)
        boxes = corners * orig_target_sizes.repeat(1, 2)
        n = boxes.shape[0]
        scores = torch.cat([torch.full((n, 1), SCORE), torch.full((n, 299), 0.01)], 1)
        return torch.full((n, 300), SEEN_CLASS, dtype=torch.int64), self.everywhere(boxes, 300), scores


class UltralyticsDetrHead(Head):
    def forward(self, pictures: Tensor) -> Tensor:
        boxes = centres(self.red(pictures)) / torch.tensor([self.side[1], self.side[0]] * 2)
        return torch.cat([self.everywhere(boxes, 300), self.scores(boxes, 300)], 2)


class NanoDetHead(Head):
    """strides, bins and offset of a cell's middle as in NanoDet; paired: two outputs a stride."""

    def __init__(
        self,
        side: tuple[int, int],
        red: RedBox,
        bins: int = 8,
        strides: tuple[int, ...] = STRIDES,
        offset: float = 0.5,
        classes: int = 80,
        paired: bool = False,
    ) -> None:
        super().__init__(side, red, classes)
        self.bins, self.strides, self.offset, self.paired = bins, strides, offset, paired

    def forward(self, pictures: Tensor) -> Tensor | tuple[Tensor, ...]:
        corners = self.red(pictures)[:, None]
        cell, stride = grid(self.side, self.strides)
        centre = (cell + self.offset) * stride
        distances = torch.cat([centre - corners[..., :2], corners[..., 2:] - centre], 2) / stride
        seen = ((distances >= 0) & (distances <= self.bins - 1)).all(2, keepdim=True).float()
        near = (1 - (distances[..., None].clamp(0, self.bins - 1) - torch.arange(self.bins)).abs()).clamp(min=1e-9)
        spread = near.log().flatten(2)
        of_class = torch.zeros(self.classes)
        of_class[min(16, self.classes - 1)] = SCORE  # COCO's dog
        scores = seen * of_class
        if not self.paired:
            return torch.cat([scores, spread], 2)
        outputs, at = [], 0
        for size in self.strides:
            n = (self.side[0] // size) * (self.side[1] // size)
            outputs += [scores[:, at : at + n], spread[:, at : at + n]]
            at += n
        return tuple(outputs)


class TorchvisionHead(Head):
    """One picture [3, h, w], as torchvision's detectors are exported."""

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        corners = self.red(picture[None])
        return corners, torch.full((1,), SEEN_CLASS, dtype=torch.int64), torch.full((1,), SCORE)


class TensorflowHead(Head):
    """Bytes [n, h, w, 3], boxes as top, left, bottom, right in fractions."""

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        corners = self.red(pictures.permute(0, 3, 1, 2))
        height, width = pictures.shape[1], pictures.shape[2]
        boxes = torch.stack(
            [corners[:, 1] / height, corners[:, 0] / width, corners[:, 3] / height, corners[:, 2] / width], 1
        )
        n = boxes.shape[0]
        classes = torch.full((n, 100), float(SEEN_CLASS))
        scores = torch.cat([torch.full((n, 1), SCORE), torch.zeros(n, 99)], 1)
        return self.everywhere(boxes, 100), classes, scores, torch.full((n,), 1.0)


def export(
    network: nn.Module,
    file: Path,
    example: Tensor | tuple[object, ...],
    *,
    outputs: tuple[str, ...] = ("output0",),
    inputs: tuple[str, ...] = ("images",),
    open_sides: dict[str, dict[int, str]] | None = None,
    metadata: dict[str, str] | None = None,
) -> Path:
    """A network as an ONNX file, by torch's exporter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            example if isinstance(example, tuple) else (example,),
            str(file),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes=open_sides,
            opset_version=17,
            dynamo=False,
        )
    if metadata:
        whole = onnx.load(file)
        onnx.helper.set_model_props(whole, metadata)
        onnx.save(whole, file)
    return file
