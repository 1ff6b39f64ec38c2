"""The one base of every error that a user may see. Rooms subclass it at their boundary; nothing else belongs here."""

from __future__ import annotations

from chimp_assets.addresses import redacted


class ChimpError(Exception):
    """Something the user can mend: one sentence on what was tried and what is wrong, and the remedy.

    The command line prints both and exits with 2; the web page shows both; a traceback is never needed to act on it.
    Secrets of addresses in the sentence are hidden, whoever wrote it.
    """

    def __init__(self, sentence: str, remedy: str = "") -> None:
        self.sentence = redacted(sentence)
        super().__init__(self.sentence)
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.sentence} {self.remedy}".strip()


class SettingsError(ChimpError):
    """A setting is missing, misspelt or impossible."""


class FullDiskError(ChimpError):
    """There is no room left to write; what was committed before stays, and the step can be run again."""
