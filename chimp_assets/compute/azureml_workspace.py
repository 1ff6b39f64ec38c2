"""The workspace of Azure ML: jobs as the service knows them, asked with patience.

Belongs here: the client of the SDK, what a status means, which errors pass by themselves, and each refusal as a
sentence with a remedy. Does not belong here: what a job is made of (`azureml_job`), following one to its end
(`azureml`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from chimp_assets.errors import ChimpError, SettingsError

if TYPE_CHECKING:
    from chimp_assets.settings.compute import AzureMLSettings

T = TypeVar("T")

ENDED = frozenset({"Completed", "Failed", "Canceled"})
"""A job in one of these never changes again."""
SILENT = frozenset({"NotResponding", "Paused", "Unknown"})
"""A node that has stopped answering: it may come back, or stay like this for ever."""

_LONGEST_PAUSE_S = 60.0
# Our own patience says how long to go on; the SDK would block for ten minutes in one call, deaf to a termination.
_CLIENT: dict[str, Any] = {"retry_total": 1, "connection_timeout": 20, "read_timeout": 60}


class WorkspaceError(ChimpError):
    """The workspace of Azure ML cannot be reached, or refuses what was asked."""


@dataclass(frozen=True)
class JobState:
    """A job as the service knows it. status: the service's word; url: its page in the studio, if the service says."""

    name: str
    status: str
    url: str = ""
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        return self.status in ENDED


@dataclass
class Patience:
    """Calls again what fails for a passing reason, with growing pauses, until it has failed for so many seconds.

    pause_s: the first pause, which doubles up to a minute. say: is told of the first failure of a row.
    """

    seconds: float
    pause_s: float
    say: Callable[[str], None]

    def __call__(self, what: str, call: Callable[[], T], passes: Callable[[Exception], bool]) -> T:
        """Its answer. Raises the error of the last try if that does not pass, or if patience is at its end."""
        began, pause, told = time.monotonic(), self.pause_s, False
        while True:
            try:
                return call()
            except Exception as error:
                left = began + self.seconds - time.monotonic()
                if not passes(error) or left <= 0:
                    raise
                if not told:
                    told = True
                    self.say(f"{what} failed ({first_line(error)}); trying again for {self.seconds:.0f} s.")
                time.sleep(min(pause, left))
                pause = min(2 * pause, _LONGEST_PAUSE_S)


class Workspace:
    """One workspace, reached with the identity of this machine when it is first asked.

    Raises SettingsError at once if the settings do not name it.
    """

    def __init__(self, settings: AzureMLSettings) -> None:
        for name in ("subscription_id", "resource_group", "workspace"):
            if not getattr(settings, name):
                raise SettingsError(
                    f"compute.kind is azureml, but compute.azureml.{name} is not set.",
                    "Set it to what the portal shows on the page of the workspace (docs/operate/azure-ml.md).",
                )
        self.settings = settings

    @cached_property
    def client(self) -> Any:
        """The SDK's own client (MLClient). Raises SettingsError if its packages are missing."""
        try:
            from azure.ai.ml import MLClient
            from azure.identity import DefaultAzureCredential
        except ImportError as error:
            raise SettingsError(
                f"compute.kind is azureml, but a package for it is missing: {error.name}.",
                "Install the packages of requirements-scale-out.lock.",
            ) from error
        # Every error comes as an exception too; as log lines, each look at a free name would look like a fault.
        log = logging.getLogger("azure.ai.ml")
        log.addHandler(logging.NullHandler())
        log.propagate = False
        return MLClient(
            DefaultAzureCredential(),
            self.settings.subscription_id,
            self.settings.resource_group,
            self.settings.workspace,
            show_progress=False,
            enable_telemetry=False,
            **_CLIENT,
        )

    def job(self, name: str) -> JobState | None:
        """The job of this name; None: there is none. One try."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            return _state(self.client.jobs.get(name))
        except ResourceNotFoundError:
            return None

    def submit(self, job: Any) -> JobState:
        """Hands a job over. One try: after an error it may have arrived all the same."""
        return _state(self.client.jobs.create_or_update(job))

    def cancel(self, name: str) -> None:
        """Asks for the end of a job, and does not wait for it. One try; a job that has ended is left as it is."""
        from azure.core.exceptions import HttpResponseError

        try:
            self.client.jobs.begin_cancel(name, polling=False)
        except HttpResponseError:
            found = self.job(name)
            if found is not None and not found.ended:
                raise

    def explained(self, what: str, error: Exception) -> ChimpError:
        """An error of the SDK as a sentence with a remedy. what: was tried, as "The job x could not be submitted"."""
        if isinstance(error, ChimpError):
            return error
        status = getattr(error, "status_code", None)
        where = f"the workspace {self.settings.workspace} of the resource group {self.settings.resource_group}"
        if type(error).__name__ in ("ClientAuthenticationError", "CredentialUnavailableError") or status == 401:
            return WorkspaceError(
                f"{what}: no identity of this machine is accepted by {where}.",
                "Give it a managed identity with the roles that docs/operate/azure-ml.md names, or run `az login`.",
            )
        if status == 403:
            return WorkspaceError(
                f"{what}: this machine's identity may not do that in {where}.",
                "Give it the role AzureML Data Scientist on the workspace and wait some minutes.",
            )
        return WorkspaceError(
            f"{what}: {first_line(error)}",
            f"Check {where} with `chimp doctor`, then run this again.",
        )


def passes(error: Exception) -> bool:
    """Whether the same call may well succeed later: no answer, a broken one, throttling, an error of the server."""
    from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError

    if isinstance(error, HttpResponseError):
        return error.status_code is None or error.status_code in (408, 425, 429) or error.status_code >= 500
    return isinstance(error, (ServiceRequestError, ServiceResponseError, OSError))


def passes_for_a_living_job(error: Exception) -> bool:
    """The same for a look at a job that is there: whatever the service says, the job may be at work.

    Tokens, roles and name resolution fail for minutes too, and a job that is left alone because of that costs most.
    """
    from azure.core.exceptions import AzureError

    return isinstance(error, (AzureError, OSError))


def first_line(error: Exception) -> str:
    """What an error says first, with a full stop."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".") + "."


def _state(job: Any) -> JobState:
    status = job.status
    return JobState(
        name=str(job.name),
        status=str(getattr(status, "value", status) or "NotStarted"),
        url=str(getattr(job, "studio_url", None) or ""),
        tags={str(name): str(value) for name, value in (job.tags or {}).items()},
    )
