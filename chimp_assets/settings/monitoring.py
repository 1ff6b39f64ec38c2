"""Settings of what watches over the archive, the models and the people: one table of chimp.toml.

Belongs here: how often a false alarm may be raised, what an alert is given, whom it is told. Does not belong here:
passwords of mail servers and addresses with a key, which come from the environment.
"""

from __future__ import annotations

from email.utils import parseaddr
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from chimp_assets.settings.section import Section

THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
"""Hosts to which a line needs no encryption."""


class MonitoringSettings(Section):
    """What is noticed, and what follows from it."""

    false_alarms_per_year: float = Field(
        1.0, gt=0, le=52, description="of all cameras and signals together, where nothing changes"
    )
    reference_days: int = Field(280, ge=28, description="days before a block that it is compared with, at most")
    drift_share: float = Field(
        0.25,
        ge=0.05,
        le=0.8,
        description="share of a plan for what changed, while an alert is open; other lanes keep"
        " their proportions, and audit keeps its share",
    )
    labels_to_close: int = Field(
        12, ge=1, description="answers about what changed that the champion has learned from before an alert closes"
    )
    least_group: int = Field(5, ge=1, description="answers below which nothing is said of a group")
    webhook: bool = Field(False, description="POST each alert as JSON to the address in CHIMP_ALERT_WEBHOOK")
    mail_to: tuple[str, ...] = Field((), max_length=50, description="who gets a mail for each alert; none: nobody")
    mail_from: str | None = Field(None, description="the sender of these mails: alerts@example.org")
    mail_host: str | None = Field(None, description="the mail server that takes them")
    mail_port: int = Field(587, ge=1, le=65535, description="its port; usually 587 for starttls and 465 for tls")
    mail_security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="how the line to the mail server is encrypted; none: only a server on this machine"
    )
    mail_user: str | None = Field(
        None, description="who signs in there, with the password in CHIMP_ALERT_MAIL_PASSWORD; not set: nobody does"
    )
    message_language: Literal["en", "fr"] = Field("en", description="of webhook and mail")
    reports_kept: int = Field(60, ge=1, description="reports of the archive that are kept, one a day, the newest")
    message_gap_min: float = Field(
        60.0, ge=0, description="minutes after a message in which new alerts are collected for one next message"
    )

    @field_validator("mail_to", "mail_from")
    @classmethod
    def _mail_addresses(cls, given: tuple[str, ...] | str | None) -> tuple[str, ...] | str | None:
        for one in (given,) if isinstance(given, str) else given or ():
            name, domain = one.rpartition("@")[::2]
            if parseaddr(one)[1] != one or not name or not domain or not one.isprintable() or " " in one:
                raise ValueError(f"{one!r} is no mail address like alerts@example.org")
        return given

    @model_validator(mode="after")
    def _mail_is_complete(self) -> Self:
        if self.mail_to and not (self.mail_from and self.mail_host):
            raise ValueError("mail_to needs mail_from and mail_host")
        if self.mail_security == "none" and self.mail_host and self.mail_host not in THIS_MACHINE:
            raise ValueError(f"mail_security is none, which only {', '.join(THIS_MACHINE)} as mail_host may have")
        return self
