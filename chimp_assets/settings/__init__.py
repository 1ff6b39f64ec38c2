"""Every setting of the product, and how settings are read. Users of settings import them from here."""

from chimp_assets.settings.compute import AzureMLSettings, ComputeSettings, KubernetesSettings
from chimp_assets.settings.environment import as_variables, inherited
from chimp_assets.settings.load import (
    LANGUAGES,
    TOML_NAME,
    Settings,
    home_from_environment,
    load_settings,
    says_everything,
    shipped_file,
)
from chimp_assets.settings.monitoring import MonitoringSettings
from chimp_assets.settings.project import PicturesSettings, ProjectSettings
from chimp_assets.settings.shared import SHARED, shared_values
from chimp_assets.settings.steps import (
    IN_STORE,
    WEIGHT_SOURCES,
    WEIGHT_SUFFIXES,
    AcquisitionSettings,
    ArchiveSettings,
    DecodeSettings,
    DetectSettings,
    EmbedSettings,
    GateSettings,
    HeadSettings,
    PromiseSettings,
    ScoreSettings,
    SpreadBy,
)
from chimp_assets.settings.web import OidcSettings, WebSettings

__all__ = [
    "IN_STORE",
    "LANGUAGES",
    "SHARED",
    "TOML_NAME",
    "WEIGHT_SOURCES",
    "WEIGHT_SUFFIXES",
    "AcquisitionSettings",
    "ArchiveSettings",
    "AzureMLSettings",
    "ComputeSettings",
    "DecodeSettings",
    "DetectSettings",
    "EmbedSettings",
    "GateSettings",
    "HeadSettings",
    "KubernetesSettings",
    "MonitoringSettings",
    "OidcSettings",
    "PicturesSettings",
    "ProjectSettings",
    "PromiseSettings",
    "ScoreSettings",
    "Settings",
    "SpreadBy",
    "WebSettings",
    "as_variables",
    "home_from_environment",
    "inherited",
    "load_settings",
    "says_everything",
    "shared_values",
    "shipped_file",
]
