"""Typed settings: the environment (`CHIMP_*`) first, then `chimp.toml` in CHIMP_HOME, then the defaults below.

Belongs here: every knob a user may turn, with its unit and the reason of its default, and where shipped files lie.
Does not belong here: anything that opens a connection, creates a folder or reads the environment at import.
"""

from __future__ import annotations

import os
import tomllib
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from chimp_assets.addresses import redacted, sqlite_address
from chimp_assets.errors import SettingsError

TOML_NAME = "chimp.toml"
WEIGHT_SOURCES = ("auto", "imagenet", "self_supervised")
LANGUAGES = ("en", "fr")
"""Languages of the page: one file each in `web/wording/texts`, as a test keeps."""
WEIGHT_SUFFIXES = (".safetensors", ".pth", ".pt")


class _Section(BaseModel):
    """A table of chimp.toml. Unknown keys are errors: a misspelt setting must never be silently ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ArchiveSettings(_Section):
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


class DecodeSettings(_Section):
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


class DetectSettings(_Section):
    """What proposes boxes and how boxes become tracks."""

    detector: Literal["motion", "torchvision"] = Field(
        "motion", description="motion: against the background, needs no weights; torchvision: a detection network"
    )
    weights: str | None = Field(None, description="torchvision detector: path of a .safetensors or .pth state dict")
    min_score: float = Field(0.25, ge=0, le=1, description="the tracker ignores boxes below")
    min_track_detections: int = Field(4, ge=1, description="shorter tracks are kept as junk and never asked about")
    min_quality: float = Field(0.2, ge=0, le=1, description="tracks below are junk")
    max_gap_s: float = Field(1.2, gt=0, description="a track survives this long without a box")


class EmbedSettings(_Section):
    """How a track becomes a vector."""

    backbone: str = Field("resnet18", description="a torchvision classification model, small, or timm:NAME")
    weights: str = Field(
        "auto",
        description="auto: those of EfficientNet-Lite0, installed with this; imagenet: torchvision's for the backbone, "
        "downloaded; self_supervised: none; or a file for the backbone (.safetensors, .pth, .pt)",
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
    fine_tune_growth: float = Field(2.0, ge=1.1, description="times as many labels before the next one")
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
    def weights_file(self) -> Path | None:
        """The file that weights names, if it names one."""
        return None if self.weights in WEIGHT_SOURCES else Path(self.weights).expanduser()


class HeadSettings(_Section):
    """How few labels become names."""

    min_labels: int = Field(12, ge=2, description="labelled training tracks before a first head is fitted")
    min_new_labels: int = Field(20, ge=1, description="new labels since the last training set before the next")
    cool_down_s: float = Field(60.0, ge=0, description="shortest time between two trainings")
    unknown_false_alarm: float = Field(0.05, gt=0, lt=1, description="share of known animals called unknown")
    l2_grid: tuple[float, ...] = Field((0.1, 1.0, 10.0), description="penalties tried by grouped cross-validation")


class GateSettings(_Section):
    """When a candidate may replace the champion."""

    min_audit_labels: int = Field(8, ge=1, description="answered audit tracks before any model is promoted")
    tolerance: float = Field(0.02, ge=0, le=1, description="accuracy that may be lost to noise")
    confidence: float = Field(
        0.9, gt=0.5, lt=1, description="refused if it is worse than the tolerance with this probability"
    )
    slice_tolerance: float = Field(0.15, ge=0, le=1, description="accuracy that a protected slice may lose")
    min_slice: int = Field(12, ge=1, description="slices with fewer audit tracks are shown, not enforced")
    bootstrap: int = Field(2000, ge=100, description="draws of the paired bootstrap that compares two heads")


class AcquisitionSettings(_Section):
    """What the expert is asked, in which proportion."""

    batch: int = Field(100, ge=1, le=10_000, description="items of one plan")
    low_water: int = Field(20, ge=0, description="a new plan is made when fewer items are waiting")
    audit_reserve: float = Field(
        0.2, gt=0, lt=1, description="share of all tracks, drawn once by hash, that only the audit lane may ask about"
    )
    cold_shares: dict[str, float] = Field(
        {"typical": 0.75, "audit": 0.25},
        description="lanes of a plan before a head is worth asking; they add up to 1",
    )
    warm_shares: dict[str, float] = Field(
        {"boundary": 0.65, "rare": 0.05, "novel": 0.05, "audit": 0.22, "repeat": 0.03},
        description="boundary: the head is unsure; rare: like an individual with few tracks; novel: like no named "
        "individual; repeat: asked before; audit: drawn at random",
    )
    warm_accuracy: float = Field(0.3, ge=0, le=1, description="audit accuracy from which the boundary lane takes over")
    spread_by: Literal["distance", "cells"] = Field(
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
    replan_after: int = Field(50, ge=1, description="a new plan is made when this many answers have landed")
    lease_minutes: float = Field(15.0, gt=0, description="an item that somebody claims is theirs this long")
    device: str = Field(
        "cpu", pattern=r"^(cpu|cuda(:\d+)?)$", description="where margins of all tracks are computed: cpu or cuda"
    )

    @model_validator(mode="after")
    def _shares_are_shares(self) -> Self:
        for name, shares in (("cold_shares", self.cold_shares), ("warm_shares", self.warm_shares)):
            if any(v < 0 for v in shares.values()) or not 0.999 <= sum(shares.values()) <= 1.001:
                raise ValueError(f"{name} must be positive and add up to 1, not {shares}")
            if shares.get("audit", 0) <= 0:
                raise ValueError(f"{name} needs an audit share above 0: nothing else measures the truth")
        return self


class ScoreSettings(_Section):
    """The budget of re-scoring after a promotion."""

    tracks_per_run: int = Field(500_000, ge=1, description="a run stops after the bundle that passes this")


class OidcSettings(_Section):
    """Sign-in through an identity provider such as Entra ID. The secret is never here: CHIMP_OIDC_CLIENT_SECRET."""

    metadata_url: str | None = Field(
        None,
        description="https://login.microsoftonline.com/TENANT/v2.0/.well-known/openid-configuration; none: local "
        "accounts only",
    )
    client_id: str | None = Field(None, description="the application that is registered at the provider")
    name: str = Field("Microsoft", max_length=60, description="on the button of the sign-in page")
    roles: dict[str, str] = Field(
        {
            "chimp.viewer": "viewer",
            "chimp.annotator": "volunteer",
            "chimp.identifier": "identifier",
            "chimp.reviewer": "reviewer",
            "chimp.expert": "expert",
            "chimp.admin": "admin",
        },
        description="app role of the provider -> role here; of several the highest counts; without one nobody signs in",
    )

    @model_validator(mode="after")
    def _client_belongs_to_provider(self) -> Self:
        if bool(self.metadata_url) != bool(self.client_id):
            raise ValueError("metadata_url and client_id are set both or neither")
        return self


class WebSettings(_Section):
    """The labelling page: where it listens, how long people stay signed in, how it looks at their work."""

    host: str = Field("127.0.0.1", description="address to listen on; other machines reach this one only with 0.0.0.0")
    port: int = Field(3001, ge=0, le=65535, description="port of the labelling page; 0: any free one")
    public_url: str | None = Field(
        None, description="the address that people type, if there is a proxy in front: https://labels.example.org"
    )
    hosts: tuple[str, ...] = Field((), description="more host names of this server, without ports")
    proxies: tuple[str, ...] | None = Field(
        None,
        description="addresses or networks (10.0.0.0/8) of the proxies whose X-Forwarded-For is believed; "
        "not set: this machine's where public_url is set, else nobody's",
    )
    insecure_http: bool = Field(
        False, description="sign-in over plain http from other machines: passwords can be read on the way"
    )
    idle_hours: float = Field(12.0, gt=0, description="a session ends when it has not been used for this long")
    expert_days: float = Field(30.0, gt=0, description="the same for experts on a device that they call their own")
    session_days: float = Field(180.0, gt=0, description="no session lasts longer, however much it is used")
    body_bytes: int = Field(2 * 1024 * 1024, ge=4096, description="longer requests are refused")
    connections: int = Field(
        500, ge=8, description="at once, and at most a quarter of the files that a process may open"
    )
    header_s: float = Field(10.0, gt=0, description="seconds that a client has to send the headers of a request")
    body_s: float = Field(10.0, gt=0, description="seconds that it has for the body, and one more for each 2,000 bytes")
    database_wait_s: float = Field(
        5.0, gt=0, description="seconds that a request waits for a busy database; then the page tries again by itself"
    )
    offline_hours: float = Field(72.0, gt=0, description="how long items that somebody takes offline stay reserved")
    blind_share: float = Field(
        0.05,
        ge=0,
        le=1,
        description="share of items shown without suggestions, to measure how far suggestions sway people",
    )
    gold_first: int = Field(
        20, ge=0, description="of the first answers, this many, of somebody who may not correct others ..."
    )
    gold_first_share: float = Field(0.3, ge=0, lt=1, description="... this share is about tracks that experts named")
    gold_share: float = Field(0.05, ge=0, lt=1, description="and this share afterwards")
    media_wait_s: float = Field(1.5, ge=0, description="seconds that a claim waits for pictures that are not made yet")
    pictures_mb: int = Field(
        256,
        ge=1,
        description="cache of pictures made on request, on this machine; 10,000 of the demo are 84 MB",
    )
    stored_pictures_gb: float = Field(
        50.0,
        gt=0,
        description="pictures and clips in the store; above it the oldest are deleted, except those of queued tracks "
        "and references",
    )
    oidc: OidcSettings = OidcSettings()

    @property
    def stored_pictures_bytes(self) -> int:
        """The same in bytes."""
        return int(self.stored_pictures_gb * 1e9)

    @field_validator("proxies")
    @classmethod
    def _networks(cls, proxies: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for one in proxies or ():
            try:
                ip_network(one, strict=False)
            except ValueError:
                raise ValueError(f"{one!r} is no address or network like 10.0.0.0/8") from None
        return proxies

    @field_validator("public_url")
    @classmethod
    def _an_origin(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
            raise ValueError(f"{url!r} is not like https://labels.example.org")
        return url.rstrip("/")


class Settings(BaseSettings):
    """Everything a run needs to know. Immutable; made by `load_settings`, never at import."""

    model_config = SettingsConfigDict(
        env_prefix="CHIMP_", env_nested_delimiter="__", extra="forbid", frozen=True, toml_file=None
    )

    home: Path = Field(Path("chimp_home"), description="the folder of this file, the database, the store and the logs")
    archive_url: str | None = Field(None, description="folder or az://container/prefix of the videos; it is only read")
    store_url: str = Field("", description="folder or az://container/prefix for pictures, vectors and models")
    database_url: str = Field("", description="any address of SQLAlchemy: sqlite, postgresql+psycopg, mssql+...")
    seed: int = Field(20, description="every random choice derives from it")
    archive: ArchiveSettings = ArchiveSettings()
    decode: DecodeSettings = DecodeSettings()
    detect: DetectSettings = DetectSettings()
    embed: EmbedSettings = EmbedSettings()
    head: HeadSettings = HeadSettings()
    gate: GateSettings = GateSettings()
    acquisition: AcquisitionSettings = AcquisitionSettings()
    score: ScoreSettings = ScoreSettings()
    web: WebSettings = WebSettings()
    words: dict[str, str] = Field(
        {},
        description="what is filmed, as the page calls it: language to a noun with its article, as in "
        'en = "a chimpanzee"; a language that is not listed gets "an animal"',
    )

    @field_validator("words")
    @classmethod
    def _words_of_languages(cls, words: dict[str, str]) -> dict[str, str]:
        for lang, word in words.items():
            if lang not in LANGUAGES:
                raise ValueError(f"{lang!r} is no language of the page: there are {', '.join(LANGUAGES)}")
            if not word.strip() or len(word) > 60 or not word.isprintable() or {"{", "}"} & set(word):
                raise ValueError(f"{word!r} is no noun with its article, such as 'a chimpanzee'")
        return {lang: word.strip() for lang, word in words.items()}

    @model_validator(mode="after")
    def _home_fills_what_is_not_said(self) -> Self:
        home = self.home.expanduser().resolve()
        object.__setattr__(self, "home", home)
        if not self.store_url:
            object.__setattr__(self, "store_url", (home / "store").as_uri())
        if not self.database_url:
            object.__setattr__(self, "database_url", sqlite_address(home / "chimp.db"))
        return self

    @property
    def dagster_home(self) -> Path:
        """Where Dagster keeps its instance: runs, events, schedules."""
        return self.home / "dagster"

    @property
    def secret_free_database_url(self) -> str:
        """The database address with its secrets hidden, for messages and metadata."""
        return redacted(self.database_url)

    @property
    def secret_free_store_url(self) -> str:
        """The store's address with its secrets hidden, for messages and metadata."""
        return redacted(self.store_url)

    @property
    def secret_free_archive_url(self) -> str | None:
        """The archive's address with its secrets hidden, for messages and metadata; None: none is set."""
        return None if self.archive_url is None else redacted(self.archive_url)


def home_from_environment() -> Path:
    """CHIMP_HOME, else `./chimp_home`, absolute."""
    return Path(os.environ.get("CHIMP_HOME") or "chimp_home").expanduser().resolve()


def load_settings(home: Path | str | None = None, **overrides: Any) -> Settings:
    """Settings of a home. overrides win over the environment, which wins over chimp.toml. Raises SettingsError."""
    root = Path(home).expanduser().resolve() if home is not None else home_from_environment()
    toml = root / TOML_NAME

    class _OfThisHome(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            sources = [init_settings, env_settings]
            if toml.is_file():
                sources.append(TomlConfigSettingsSource(settings_cls, toml_file=toml))
            return tuple(sources)

    try:
        return _OfThisHome(home=root, **overrides)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "settings"
        raise SettingsError(
            f"The setting {where} cannot be used: {first['msg']}.",
            f"Correct it in {toml} or in the environment (CHIMP_{where.upper().replace('.', '__')}).",
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{toml} is not valid TOML: {error}.", "Correct that line.") from None


def shipped_file(name: str) -> Path:
    """Path of a file or folder that ships with the product (`sql`, `dagster.yaml`), from a checkout or a wheel."""
    package = Path(__file__).resolve().parent
    for root in (package.parent, package / "shipped"):
        if (root / name).exists():
            return root / name
    raise SettingsError(f"{name} is missing from this installation.", "Install chimp-assets again.")
