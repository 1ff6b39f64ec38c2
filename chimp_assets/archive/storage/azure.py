"""Azure Blob storage: the account, the credential, and what refusals mean.

Belongs here: the environment (`AZURE_STORAGE_...`) read into one description of an account, patience with the network,
and each refusal as a sentence with a remedy. Does not belong here: reading and writing blobs (`objects`).

Secrets stay inside the options that obstore is given: they are in no sentence, no repr and no chained exception.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from obstore.store import AzureStore

from chimp_assets.archive.storage.blobs import StoreError, missing
from chimp_assets.errors import ChimpError

_KEY = ("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_KEY")
_SAS = ("AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_SAS_KEY")
_CLIENT = ("AZURE_CLIENT_ID", "AZURE_STORAGE_CLIENT_ID")
_TENANT = ("AZURE_TENANT_ID", "AZURE_STORAGE_TENANT_ID")
_CLIENT_SECRET = ("AZURE_CLIENT_SECRET", "AZURE_STORAGE_CLIENT_SECRET")
# What names a managed identity, or is set by a service of Azure that offers one.
_IDENTITY = (
    *_CLIENT, "AZURE_OBJECT_ID", "AZURE_MSI_RESOURCE_ID", "AZURE_MSI_ENDPOINT", "AZURE_IDENTITY_ENDPOINT",
    "IDENTITY_ENDPOINT",
)  # fmt: skip
_CREDENTIALS = {
    "access_key": "the account key",
    "sas_token": "the SAS",
    "bearer_token": "the token",
    "client_secret": "the client secret",
    "workload_identity": "the workload identity",
    "azure_cli": "your az login",
    "managed_identity": "the managed identity",
    "job_identity": "the managed identity of the job",
    "none": "no credential",
}
_HOW_TO_SIGN_IN = (
    "Set AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN, or AZURE_USE_AZURE_CLI=true after `az login`, or "
    "AZURE_CREDENTIAL_TYPE=managed_identity on a machine in Azure."
)

# A restart of the service takes a minute or two. Under five, as object_store asks: a request is signed only once. With
# the last try it also stays under decode.stall_s, after which a silent process is taken for one that hangs.
RETRY: dict[str, Any] = {
    "backoff": {"init_backoff": timedelta(seconds=0.2), "max_backoff": timedelta(seconds=10), "base": 2},
    "max_retries": 40,
    "retry_timeout": timedelta(seconds=150),
}
# The first request of a command: a misspelt account must not take minutes to be called so.
FIRST_RETRY: dict[str, Any] = {**RETRY, "max_retries": 6, "retry_timeout": timedelta(seconds=15)}
# A whole request: 8 MiB in 2 minutes is half a megabit a second. A connection that says nothing ends sooner.
CLIENT: dict[str, Any] = {
    "connect_timeout": timedelta(seconds=10),
    "read_timeout": timedelta(seconds=40),
    "timeout": timedelta(seconds=120),
    "pool_idle_timeout": timedelta(seconds=60),
}


@dataclass(frozen=True)
class AzureAccount:
    """A storage account as the environment describes it. options: for obstore, with the secrets.

    credential: one of obstore's credential types, "job_identity" for that of a job of Azure ML, whose protocol obstore
    does not speak, or "none" for public containers. client_id: of that identity, where a job has several. sas_from,
    sas_until, sas_rights: what a SAS says of itself, which is no secret.
    """

    name: str
    host: str
    credential: str
    options: dict[str, Any] = field(repr=False)
    allow_http: bool = False
    client_id: str | None = None
    sas_from: datetime | None = None
    sas_until: datetime | None = None
    sas_rights: str = ""


def account_of(environment: Mapping[str, str] = os.environ) -> AzureAccount:
    """The account that AZURE_STORAGE_... names, or else AZURE_STORAGE_CONNECTION_STRING.

    A key or SAS of the storage account comes before a login for all of Azure, since that may be meant for other tools;
    AZURE_CREDENTIAL_TYPE decides where both are set. Raises StoreError if no account or no credential is named.
    """

    def first(*names: str) -> str:
        return next((environment[name].strip() for name in names if environment.get(name, "").strip()), "")

    parts: dict[str, str] = {}
    name = first("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT")
    if not name:
        parts = _connection_parts(first("AZURE_STORAGE_CONNECTION_STRING"))
        name = parts.get("accountname", "")
    key = parts.get("accountkey") or first(*_KEY)
    sas = (parts.get("sharedaccesssignature") or first(*_SAS)).lstrip("?")
    endpoint = parts.get("blobendpoint") or first("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT")
    options: dict[str, Any] = {}
    if _yes(parts.get("usedevelopmentstorage", "")) or _yes(first("AZURE_STORAGE_USE_EMULATOR")):
        name, endpoint = name or "devstoreaccount1", endpoint or "http://127.0.0.1:10000/devstoreaccount1"
        options["use_emulator"] = True  # with its published key
    if not name and endpoint:
        name = (urlsplit(endpoint).hostname or "").split(".")[0]
    if not name:
        raise StoreError(
            "No Azure storage account is named, so an az:// address cannot be opened.",
            "Set AZURE_STORAGE_ACCOUNT_NAME, or AZURE_STORAGE_CONNECTION_STRING.",
        )
    if not endpoint and parts.get("endpointsuffix"):
        endpoint = f"{parts.get('defaultendpointsprotocol', 'https')}://{name}.blob.{parts['endpointsuffix']}"

    credential = first("AZURE_CREDENTIAL_TYPE").lower()
    if credential in ("", "auto"):
        credential = _credential(first, bool(key), bool(sas), "use_emulator" in options)
    if credential not in _CREDENTIALS:
        raise StoreError(
            f"AZURE_CREDENTIAL_TYPE is {credential}, which is not a credential type.",
            f"Use one of {', '.join(kind for kind in _CREDENTIALS if kind != 'none')}.",
        )
    options["account_name"] = name
    if endpoint:
        options["endpoint"] = endpoint.rstrip("/")
    if credential == "access_key" and key:
        options["account_key"] = key
    if credential == "sas_token" and sas:
        options["sas_key"] = sas
    options["skip_signature"] = credential == "none"
    if credential not in ("none", "job_identity") and not ("use_emulator" in options and not key):
        options["credential_type"] = credential
    facts = {name: values[0] for name, values in parse_qs(sas).items()} if credential == "sas_token" else {}
    return AzureAccount(
        name=name,
        host=urlsplit(endpoint).netloc if endpoint else f"{name}.blob.core.windows.net",
        credential=credential,
        options=options,
        allow_http=endpoint.startswith("http://"),
        client_id=first(*_CLIENT, "DEFAULT_IDENTITY_CLIENT_ID") or None,
        sas_from=_moment(facts.get("st", "")),
        sas_until=_moment(facts.get("se", "")),
        sas_rights=facts.get("sp", ""),
    )


def _credential(first: Any, key: bool, sas: bool, emulator: bool) -> str:
    """The credential that the environment holds. Never guessed: a guess would wait for an answer that does not come."""
    if key or (emulator and not sas):
        return "access_key"
    if sas:
        return "sas_token"
    if first("AZURE_STORAGE_TOKEN"):
        return "bearer_token"
    if first(*_CLIENT) and first(*_TENANT) and first(*_CLIENT_SECRET):
        return "client_secret"
    if first(*_CLIENT) and first(*_TENANT) and first("AZURE_FEDERATED_TOKEN_FILE"):
        return "workload_identity"
    if _yes(first("AZURE_USE_AZURE_CLI")):
        return "azure_cli"
    if first("MSI_ENDPOINT") and first("MSI_SECRET"):
        return "job_identity"
    if first(*_IDENTITY):
        return "managed_identity"
    if _yes(first("AZURE_SKIP_SIGNATURE")):
        return "none"
    raise StoreError("No credential for Azure is set, so an az:// address cannot be opened.", _HOW_TO_SIGN_IN)


def _connection_parts(text: str) -> dict[str, str]:
    """Parts of a connection string as the portal shows it, names in lower case. obstore does not read these."""
    pairs = [part.partition("=") for part in text.split(";") if part.strip()]
    if any(not separator for _, separator, _ in pairs):
        raise StoreError(
            "AZURE_STORAGE_CONNECTION_STRING is not a connection string.", "Copy it from the portal again, in quotes."
        )
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _yes(text: str) -> bool:
    return text.lower() in ("1", "true", "yes", "on")


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def open_container(account: AzureAccount, container: str, prefix: str, retry: Mapping[str, Any] = RETRY) -> Any:
    """obstore's AzureStore of a container. No request is made. Raises StoreError if the description is not one."""
    client = {**CLIENT, "allow_http": True} if account.allow_http else dict(CLIENT)
    tokens: dict[str, Any] = {}
    if account.credential == "job_identity":
        tokens = {"credential_provider": _JobTokens(account.client_id)}
    try:
        return AzureStore(
            container,
            prefix=prefix or None,
            config=account.options,
            client_options=client,
            retry_config=dict(retry),
            **tokens,
        )
    except Exception as error:
        reason = _first_line(error).removeprefix("Generic MicrosoftAzure error: ")
        for secret in ("account_key", "sas_key"):
            if (hidden := account.options.get(secret)) and hidden in reason:
                reason = f"{_CREDENTIALS[account.credential]} cannot be read"
    # Outside the handler: the error of obstore may quote a secret, and must not be its cause.
    raise StoreError(f"The Azure storage account {account.name} cannot be used: {reason}.", _HOW_TO_SIGN_IN)


class _JobTokens:
    """Tokens of the identity that a job of Azure ML runs as (MSI_ENDPOINT, MSI_SECRET). obstore keeps each until
    shortly before it ends."""

    def __init__(self, client_id: str | None) -> None:
        self._client_id = client_id
        self._credential: Any = None

    def __call__(self) -> Any:
        from azure.identity import ManagedIdentityCredential

        if self._credential is None:
            self._credential = ManagedIdentityCredential(client_id=self._client_id)
        token = self._credential.get_token("https://storage.azure.com/.default")
        return {"token": token.token, "expires_at": datetime.fromtimestamp(token.expires_on, UTC)}


def explained(account: AzureAccount, container: str, url: str, error: Exception, key: str, verb: str) -> ChimpError:
    """The refusal of Azure, or of the network, as an error with a remedy. verb: what failed (`read`, `written`)."""
    text = str(error)
    status, code = status_of(error), code_of(error)
    if code in ("ContainerNotFound", "ContainerBeingDeleted", "ContainerDisabled") or "container does not" in text:
        return StoreError(
            f"There is no container {container} in the Azure storage account {account.name}.",
            "Correct the address, or create the container and run this again.",
        )
    if status == 404 and verb == "read":
        return missing(url, key)
    if "token request" in text or "Azure CLI" in text or "federated" in text.lower():
        return StoreError(
            f"{_capital(_CREDENTIALS[account.credential])} gave no token for the Azure storage account {account.name}.",
            "Run `az login` again." if account.credential == "azure_cli" else _HOW_TO_SIGN_IN,
        )
    if status in (401, 403):
        return _refused(account, url, key, verb, code)
    if status is None:
        if "dns error" in text:
            return StoreError(
                f"The Azure storage account {account.name} was not found: no host is called {account.host}.",
                "Check AZURE_STORAGE_ACCOUNT_NAME (or AZURE_STORAGE_ENDPOINT) and the network.",
            )
        if "HTTP error" in text or "error sending request" in text or "timed out" in text:
            return StoreError(
                f"{account.host} does not answer, so {key or 'the container'} in {url} could not be {verb}.",
                "Check the network, then run the same command again; what was stored before is safe.",
            )
    if status is not None and (status >= 500 or status in (408, 429)):
        return StoreError(
            f"{account.host} keeps answering with errors ({status} {code}".rstrip()
            + f"), so {key or 'the container'} in {url} could not be {verb}.",
            "Wait a little, then run the same command again; what was stored before is safe.",
        )
    if type(error).__name__ == "InvalidPathError":
        return StoreError(
            f"{url} holds a blob whose name cannot be used: {_first_line(error)}.", "Rename that blob, or move it away."
        )
    said = f"{status} {code}".strip() if status else _first_line(error)
    return StoreError(
        f"{key or 'The container'} in {url} could not be {verb}: {said}.",
        "Check the address and the AZURE_STORAGE_... variables, then run the same command again.",
    )


def _refused(account: AzureAccount, url: str, key: str, verb: str, code: str) -> StoreError:
    now = datetime.now(UTC)
    tried = f"{key or 'The container'} in {url} could not be {verb}"
    if account.credential == "sas_token":
        if account.sas_until is not None and account.sas_until <= now:
            return StoreError(
                f"{tried}: the SAS expired on {account.sas_until:%Y-%m-%d at %H:%M} UTC.",
                "Make a new one, set AZURE_STORAGE_SAS_TOKEN and run the same command again.",
            )
        if account.sas_from is not None and account.sas_from > now:
            return StoreError(
                f"{tried}: the SAS begins only on {account.sas_from:%Y-%m-%d at %H:%M} UTC.",
                "Wait, check this machine's clock, or make a new one.",
            )
        if "Mismatch" in code:
            return StoreError(
                f"{tried}: the SAS does not allow it (its rights are {account.sas_rights or 'unknown'}; {code}).",
                "The archive needs read and list, the store also write, create and delete: make a SAS with these.",
            )
        return StoreError(
            f"{tried}: the SAS is not accepted{_brackets(code)}.",
            "Make a new one: it was cut off, revoked, its key was renewed, or this IP address is blocked.",
        )
    if code == "KeyBasedAuthenticationNotPermitted":
        return StoreError(
            f"{tried}: the Azure storage account {account.name} does not allow account keys.",
            "Use a managed identity or `az login` (see README, On Azure).",
        )
    if account.credential == "access_key":
        return StoreError(
            f"{tried}: the account key is not accepted{_brackets(code)}.",
            "Copy the account's key again, and check this machine's clock and the account's firewall.",
        )
    return StoreError(
        f"{tried}: {_CREDENTIALS[account.credential]} is not allowed to do that{_brackets(code)}.",
        "Give it the role Storage Blob Data Contributor (for the archive, Reader) and wait some minutes.",
    )


def status_of(error: Exception) -> int | None:
    """The HTTP status in an error of obstore; None if there was no answer at all."""
    found = re.search(r"status code: (\d{3})", str(error)) or re.search(r"\(code: (\d{3})\)", str(error))
    return int(found[1]) if found else None


def code_of(error: Exception) -> str:
    """The service's own name of what is wrong, such as `ContainerNotFound`; empty if it gave none."""
    found = re.search(r"<Code>(\w+)</Code>", str(error))
    return found[1] if found else ""


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".")


def _brackets(code: str) -> str:
    return f" ({code})" if code else ""


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
