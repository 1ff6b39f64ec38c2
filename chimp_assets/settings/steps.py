"""Settings of the steps from video to queue: one table of chimp.toml each.

Belongs here: every knob a user may turn, with its unit and the reason of its default. Does not belong here: the page
(`web`), where heavy steps run (`compute`), how settings are read (`load`).
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from chimp_assets.settings.section import Section

WEIGHT_SOURCES = ("auto", "imagenet", "self_supervised")
IN_STORE = "store:"
"""Before the key of a file of weights that lies in the store."""
WEIGHT_SUFFIXES = (".safetensors", ".pth", ".pt", ".onnx")
SpreadBy = Literal["distance", "cells"]
"""Ways of the boundary lane to keep its tracks apart: its own two, and `SPREAD_BY` of modules of selectors."""


class ArchiveSettings(Section):
    """How the archive is listed."""

    bundle_videos: int = Field(
        200, ge=1, le=10_000, description="videos in a bundle: a bundle's run should take minutes"
    )
    suffixes: tuple[str, ...] = Field(
        (
            ".mp4", ".mov", ".avi", ".mkv", ".m4v", ".mpg", ".mpeg", ".mts", ".m2ts", ".ts", ".wmv", ".flv",
            ".webm", ".3gp", ".3g2", ".ogv", ".mxf", ".dv", ".vob", ".264", ".h264", ".avc",
            ".265", ".h265", ".hevc", ".ivf", ".gif", ".mod", ".tod", ".m2t", ".mpe", ".m2v", ".m1v", ".mpv", ".m2p",
            ".asf", ".f4v", ".divx", ".xvid", ".qt", ".3gpp", ".trp", ".tp", ".mjpg", ".mjpeg",
        ),
        description="file name endings that are listed as videos; others are counted and left alone",
    )  # fmt: skip
    files_per_tick: int = Field(
        10_000,
        ge=500,
        description="a sensor's listing pauses after this many unchanged files (about 0.3 s of CPU) and resumes a "
        "minute later; new files keep it going",
    )
    follow_links: Literal["all", "inside", "none"] = Field(
        "all",
        description="symbolic links to follow: all (disks may be linked in), those that stay inside the archive, or "
        "none; the home and the store are never part of the archive",
    )
    timezone: str = Field("UTC", description="IANA zone of camera clocks, for files that do not name their own")
    container_time: Literal["auto", "utc", "local"] = Field(
        "auto",
        description="the clock of the time inside a file: utc as the standards require, local for cameras that write "
        "their own clock there, auto: the likelier one by name and file",
    )
    date_order: Literal["auto", "day_first", "month_first", "year_first"] = Field(
        "auto", description="the order of day and month in names where both are possible, such as 06-05-2023 and 230506"
    )


class DecodeSettings(Section):
    """Which frames are kept and how they are stored."""

    policy: Literal["fps", "keyframe"] = Field(
        "fps",
        description="fps: kept frames are spread evenly in time; keyframe: those that decode alone, ten times faster",
    )
    fps: float = Field(5.0, gt=0, le=120, description="kept frames a second; a tracker needs boxes that still overlap")
    longest_side: int = Field(640, ge=64, le=8192, description="stored pictures are scaled down to this, never up")
    jpeg_quality: int = Field(85, ge=30, le=100, description="of stored pictures: 100 is the best and the largest")
    shard_bytes: int = Field(64 * 1024 * 1024, ge=64 * 1024, description="a shard is closed when it is this long")
    max_pixels: int = Field(8192 * 8192, ge=1, description="larger pictures are refused before memory is taken")
    max_duration_s: float = Field(48 * 3600.0, gt=0, description="longer videos are refused")
    workers: int = Field(
        2,
        ge=0,
        le=256,
        description="decoding processes, one thread each; 0: in this process, where a crash ends the run",
    )
    split_s: float = Field(120.0, gt=0, description="longer videos are decoded in parts by several processes at once")
    stall_s: float = Field(
        300.0, ge=1, description="a decoding process without progress for this long has hung and is ended"
    )


class DetectSettings(Section):
    """What proposes boxes and how boxes become tracks."""

    detector: Literal["motion", "nanodet", "torchvision", "onnx", "whole_picture"] = Field(
        "motion",
        description="motion: against the background, needs no weights; nanodet: a small network that comes as a"
        " package; torchvision: a detection network; onnx: any network as a file; whole_picture: each picture is one"
        " animal (crops)",
    )
    second_opinion: Literal["none", "agreement", "alone"] = Field(
        "agreement",
        description="what motion has to say beside nanodet: none; agreement: a doubtful box counts where something"
        " moves; alone: what only motion has seen counts too (tiny or dark animals; more false boxes)",
    )
    weights: str | None = Field(
        None,
        description="torchvision detector: path of a .safetensors or .pth state dict, or its key in the store "
        "(store:weights/a.safetensors); nanodet: unset, those of its package; onnx: of the .onnx file",
    )
    min_score: float = Field(
        0.25,
        ge=0,
        le=1,
        description="the tracker ignores boxes below; unset: what the detector states (motion 0.25, nanodet 0.1)",
    )
    decoding: str = Field(
        "auto",
        max_length=40,
        pattern=r"^[a-z0-9_]+$",
        description="onnx: what the outputs mean (yolo_v5, yolo_v8, yolox, rt_detr, nanodet, torchvision and others);"
        " auto finds it",
    )
    classes: tuple[str, ...] = Field(
        (),
        max_length=1000,
        description="onnx: numbers or names of the classes that are animals, coco, or all; none: what lives of COCO's"
        " classes, else all but people and vehicles",
    )
    onnx_side: int | None = Field(
        None, ge=32, le=4096, multiple_of=32, description="onnx: pixels of the input, where the file leaves them open"
    )
    onnx_fit: Literal["centre", "corner", "stretch", "as_is"] | None = Field(
        None, description="onnx: how pictures become the input; none: as the decoding does"
    )
    onnx_colours: Literal["rgb", "bgr"] | None = Field(
        None, description="onnx: the order of the channels; none: as the decoding does"
    )
    onnx_mean: tuple[float, float, float] | None = Field(
        None, description="onnx: taken from values 0 to 255, by channel; none: as the decoding does"
    )
    onnx_std: tuple[float, float, float] | None = Field(
        None, description="onnx: values 0 to 255 less the mean are divided by this; none: as the decoding does"
    )
    min_track_detections: int = Field(4, ge=1, description="shorter tracks are kept as junk and never asked about")
    min_quality: float = Field(0.2, ge=0, le=1, description="tracks below are junk")
    max_gap_s: float = Field(
        1.2,
        gt=0,
        description="a track survives this long without a box; unset: what the detector states (motion 1.2,"
        " nanodet 2.0)",
    )
    frames_per_run: int = Field(
        500_000,
        ge=1,
        description="a job that tracks many bundles with a network stops after the bundle that passes this",
    )


class EmbedSettings(Section):
    """How a track becomes a vector."""

    backbone: str = Field("resnet18", description="a torchvision classification model, small, or timm:NAME")
    weights: str = Field(
        "auto",
        description="auto: those of EfficientNet-Lite0, installed with this; imagenet: torchvision's for the backbone, "
        "downloaded; self_supervised: none; or a file for the backbone (.safetensors, .pth, .pt), or of a whole "
        "network (.onnx), by its path or its key in the store (store:weights/a.safetensors)",
    )
    weights_mean: tuple[float, float, float] | None = Field(
        None, description=".onnx: taken from red, green and blue of 0 to 1; none: as the file says, else ImageNet's"
    )
    weights_std: tuple[float, float, float] | None = Field(
        None, description=".onnx: divides what is left; none: as the file says, else ImageNet's"
    )
    weights_licence: str = Field("not stated", max_length=200, description="the licence of that file, kept with models")
    dimensions: int = Field(128, ge=8, le=4096, description="numbers in the vector of a track")
    crop_side: int = Field(96, ge=32, le=512, description="pixels; crops are padded to a square and scaled to this")
    crops_per_track: int = Field(5, ge=1, le=32, description="the best crops of a track, spread in time")
    min_tracks: int = Field(20, ge=2, description="self-supervision waits for this many live tracks")
    epochs: int = Field(12, ge=1, description="passes of self-supervision over the sampled crops")
    max_crops: int = Field(20_000, ge=64, description="crops that self-supervision samples from the archive")
    fine_tune: Literal["off", "auto"] = Field("auto", description="fine-tune the embedder on names when it is due")
    fine_tune_labels: int = Field(500, ge=20, description="labelled training tracks before the first fine-tuning")
    fine_tune_classes: int = Field(5, ge=2, description="individuals among them")
    fine_tune_growth: float = Field(
        2.0, ge=1.1, description="times as many labels before the next one, where no minutes to go are forecast"
    )
    fine_tune_least_minutes: float = Field(
        10.0,
        ge=0,
        description="minutes of the expert that a fine-tuning must be expected to save, where they are forecast",
    )
    fine_tune_backbone: str = Field("auto", description="auto: the champion's, else small (CPU) or resnet50 (GPU)")
    fine_tune_epochs: int = Field(30, ge=1, description="passes over the crops of the labelled tracks")
    fine_tune_minutes: float = Field(
        120.0, gt=0, description="a fine-tuning stops after this and keeps what it has learned"
    )
    fine_tune_batch: int | None = Field(None, ge=4, description="crops of a step; None: the recipe's")
    fine_tune_rate: float | None = Field(None, gt=0, le=1, description="learning rate; None: the recipe's")
    workers: int = Field(0, ge=0, le=64, description="processes that prepare crops while a network learns")

    @field_validator("weights")
    @classmethod
    def _known_or_a_file(cls, weights: str) -> str:
        if weights not in WEIGHT_SOURCES and not weights.endswith(WEIGHT_SUFFIXES):
            raise ValueError(f"{weights!r} is neither {', '.join(WEIGHT_SOURCES)} nor a file of weights")
        return weights

    @property
    def weights_file(self) -> str | None:
        """The file that weights names, if it names one, for `vision.models.weights.local_weights`."""
        return None if self.weights in WEIGHT_SOURCES else self.weights


class HeadSettings(Section):
    """How few labels become names."""

    min_labels: int = Field(12, ge=2, description="labelled training tracks before a first head is fitted")
    min_new_labels: int = Field(20, ge=1, description="new labels since the last training set before the next")
    cool_down_s: float = Field(60.0, ge=0, description="shortest time between two trainings")
    unknown_false_alarm: float = Field(0.05, gt=0, lt=1, description="share of known animals called unknown")
    l2_grid: tuple[float, ...] = Field((0.1, 1.0, 10.0), description="penalties tried by grouped cross-validation")


class GateSettings(Section):
    """When a candidate may replace the champion."""

    min_audit_labels: int = Field(8, ge=1, description="answered audit tracks before any model is promoted")
    tolerance: float = Field(0.02, ge=0, le=1, description="accuracy that may be lost to noise")
    confidence: float = Field(
        0.9, gt=0.5, lt=1, description="refused if it is worse than the tolerance with this probability"
    )
    slice_tolerance: float = Field(0.15, ge=0, le=1, description="accuracy that a protected slice may lose")
    min_slice: int = Field(12, ge=1, description="slices with fewer audit tracks are shown, not enforced")
    bootstrap: int = Field(2000, ge=100, description="draws of the bootstrap behind intervals of measurements")


class AcquisitionSettings(Section):
    """What the expert is asked, in which proportion."""

    batch: int = Field(100, ge=1, le=10_000, description="items of one plan")
    low_water: int = Field(20, ge=0, description="a new plan is made when fewer items are waiting")
    audit_reserve: float = Field(
        0.2,
        gt=0,
        lt=1,
        description="share of all tracks, drawn once by hash, that teach no model; see audit_reserve_tracks",
    )
    audit_reserve_tracks: int | None = Field(
        None,
        ge=1,
        description="tracks of the reserve that are kept for the audit, the first by the same hash; the frames lane "
        "may ask the others. Unset: 1.2 times the square root of the number of tracks, and 40 at least. Lower it "
        "whenever you like, never raise it: what has been asked is missing among the rest",
    )
    cold_shares: dict[str, float] = Field(
        {"typical": 0.75, "audit": 0.25},
        description="lanes of a plan before a head is worth asking; they add up to 1",
    )
    warm_shares: dict[str, float] = Field(
        {"frames": 0.85, "boundary": 0.1, "audit": 0.04, "repeat": 0.01},
        description="frames: the answer names most frames for each second of the expert; boundary: the head is unsure; "
        "rare: like an individual with few tracks; novel: like no named individual; repeat: asked before; audit: drawn "
        "at random",
    )
    groups_share: float = Field(
        0.2,
        ge=0,
        le=0.5,
        description="part of the audit's share for groups (sex, age class, matriline, camera, light) with too few"
        " audit answers to say how they are named; 0: none",
    )
    warm_accuracy: float = Field(0.3, ge=0, le=1, description="audit accuracy from which warm_shares apply")
    spread_by: SpreadBy = Field(
        "distance", description="boundary tracks keep apart by distance from all asked ones, or by cells of look-alikes"
    )
    identity_cap: float = Field(0.25, gt=0, le=1, description="largest share of a batch predicted to be one individual")
    video_cap: float = Field(0.1, gt=0, le=1, description="largest share of a batch from one video")
    place_cap: float = Field(0.34, gt=0, le=1, description="largest share of a batch from one camera and day")
    value_weight: float = Field(
        0.25, ge=0, le=1, description="weight of boxes named per second of answering; 0: none, 1: in proportion"
    )
    duplicate_likeness: float = Field(
        0.97, gt=0, le=1, description="cosine from which two tracks of one video are asked once"
    )
    repeat_after: int = Field(
        200, ge=1, description="answers after which a track may be asked again, to measure agreement"
    )
    pairs_per_round: int = Field(
        20, ge=0, le=1_000, description='pairs of tracks of one plan that are asked "same animal?"; 0: none'
    )
    is_it_per_round: int | None = Field(
        None,
        ge=0,
        le=5_000,
        description='tracks of one plan about which volunteers are asked "is this X?"; not set: as many as they'
        " answered between two plans lately, at least 40, none where nobody has the role volunteer; 0: none",
    )
    replan_after: int = Field(50, ge=1, description="a new plan is made when this many answers have landed")
    named_by: Literal["people", "people_and_machine"] = Field(
        "people_and_machine",
        description="who may name tracks for good: with people alone, pages to confirm hold the surest names too",
    )
    lease_minutes: float = Field(15.0, gt=0, description="an item that somebody claims is theirs this long")
    device: str = Field(
        "cpu",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="where margins of all tracks are computed: cpu (without PyTorch, which takes seconds to load), "
        "cuda, or auto: a GPU if there is one",
    )

    @model_validator(mode="after")
    def _shares_are_shares(self) -> Self:
        for name, shares in (("cold_shares", self.cold_shares), ("warm_shares", self.warm_shares)):
            if any(v < 0 for v in shares.values()) or not 0.999 <= sum(shares.values()) <= 1.001:
                raise ValueError(f"{name} must be positive and add up to 1, not {shares}")
            if shares.get("audit", 0) <= 0:
                raise ValueError(f"{name} needs an audit share above 0: nothing else measures the truth")
        return self


class PromiseSettings(Section):
    """What is promised about names where nobody has said so with `chimp promise`."""

    error: float | None = Field(
        None, gt=0, lt=0.5, description="largest share of wrong names that is promised; not set: none is tested"
    )
    named: float = Field(0.9, gt=0, le=1, description="share of the frames that shall carry a name")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="with which the promise is made")
    hold_days: float = Field(
        7.0, gt=0, description="while names are tested no training starts by itself; after so many days the test ends"
    )
    most_draws: int = Field(400, ge=50, le=10_000, description="tracks that one test may ask about")


class ScoreSettings(Section):
    """The budget of re-scoring after a promotion."""

    tracks_per_run: int = Field(500_000, ge=1, description="a run stops after the bundle that passes this")
