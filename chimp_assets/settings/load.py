"""Typed settings: the environment (`CHIMP_*`) first, then `chimp.toml` in CHIMP_HOME, then the defaults.

Belongs here: the whole of the settings, reading them, and where shipped files lie. Does not belong here: the single
tables (`steps`, `web`, `compute`), anything that opens a connection, creates a folder or reads the environment at
import.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from chimp_assets.addresses import redacted, sqlite_address
from chimp_assets.errors import SettingsError
from chimp_assets.settings.compute import ComputeSettings
from chimp_assets.settings.monitoring import MonitoringSettings
from chimp_assets.settings.project import PicturesSettings, ProjectSettings
from chimp_assets.settings.steps import (
    AcquisitionSettings,
    ArchiveSettings,
    DecodeSettings,
    DetectSettings,
    EmbedSettings,
    GateSettings,
    HeadSettings,
    PromiseSettings,
    ScoreSettings,
)
from chimp_assets.settings.web import WebSettings

TOML_NAME = "chimp.toml"
WHOLE = ("CHIMP_DATABASE_URL", "CHIMP_STORE_URL")
"""Variables that make a home without a folder."""
LANGUAGES = ("en", "fr")
"""Languages of the page: one file each in `web/wording/texts`, as a test keeps."""


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
    promise: PromiseSettings = PromiseSettings()
    score: ScoreSettings = ScoreSettings()
    monitoring: MonitoringSettings = MonitoringSettings()
    pictures: PicturesSettings = PicturesSettings()
    project: ProjectSettings = ProjectSettings()
    compute: ComputeSettings = ComputeSettings()
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
        """Where Dagster keeps its instance. Without a chimp.toml, DAGSTER_HOME says where."""
        named = os.environ.get("DAGSTER_HOME")
        if named and not self.has_file:
            return Path(named).expanduser().resolve()
        return self.home / "dagster"

    @property
    def has_file(self) -> bool:
        """Whether there is a chimp.toml; else the environment alone says everything."""
        return (self.home / TOML_NAME).is_file()

    @property
    def is_on_server(self) -> bool:
        """Whether other machines can open the database too."""
        return not self.database_url.startswith("sqlite")

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


def says_everything(environment: Mapping[str, str]) -> bool:
    """Whether these variables name the database and the store, so that no chimp.toml is needed."""
    return all(environment.get(name, "").strip() for name in WHOLE)


def home_from_environment() -> Path:
    """CHIMP_HOME, else `./chimp_home`, absolute.

    Where neither CHIMP_HOME nor a chimp.toml is there and the environment says everything: a folder for temporary files
    (caches, Dagster's own), the same for all processes of a user and a database. Makes nothing.
    """
    named = os.environ.get("CHIMP_HOME")
    home = Path(named or "chimp_home").expanduser().resolve()
    if named or not says_everything(os.environ) or (home / TOML_NAME).is_file():
        return home
    digest = hashlib.sha256("\0".join(os.environ[name] for name in WHOLE).encode()).hexdigest()[:16]
    user = os.getuid() if hasattr(os, "getuid") else 0
    return Path(tempfile.gettempdir()).resolve() / f"chimp-home-{user}-{digest}"


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
    package = Path(__file__).resolve().parent.parent
    for root in (package.parent, package / "shipped"):
        if (root / name).exists():
            return root / name
    raise SettingsError(f"{name} is missing from this installation.", "Install chimp-assets again.")
