"""Addresses as text: paths that become addresses, and addresses that are shown without their secrets.

Belongs here: escaping a path into `sqlite:///` or a TOML string, and taking passwords, keys and signatures out of
whatever is shown. Does not belong here: opening what an address names (`database.engine`, `archive.store`).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote_plus

HIDDEN = "***"

# Names of parameters that are secrets wherever they stand: in a query, a connection string, a sentence.
_SURE = (
    r"(?:ssl|user|db|database|proxy|truststore|keystore)?[ _-]?(?:password|passwd|passphrase|passcode|pwd)|sig|"
    r"(?:shared[ _-]?)?(?:account|access|storage|api|secret|encryption|signing|private)[ _-]?key|"
    r"shared[ _-]?access[ _-]?(?:signature|key)|"
    r"(?:access|bearer|refresh|id|auth|security|session|sas)[ _-]?token|client[ _-]?secret"
)
# Names that are secrets in a query only: `key = 3` in a sentence is none.
_IN_QUERY = _SURE + r"|pass|token|secret|key|auth|authorization|signature|credential|credentials|sas|pw|jwt"
# Values that are themselves connection strings.
_NESTED = r"odbc_connect|connection[ _-]?string|conn[ _-]?str|dsn|options"

_QUERY_NAME = re.compile(rf"(?:.*[._-])?(?:{_IN_QUERY})", re.IGNORECASE)
_NESTED_NAME = re.compile(_NESTED, re.IGNORECASE)
# scheme://user:password@host. The password may hold `/`, `?`, `#` and `@` that nobody escaped: it ends at the last `@`
# before a blank or a quote. The port of a web address (`:3001/`) is no password.
_WITH_PASSWORD = re.compile(
    r"(?P<open>(?P<scheme>[a-z][a-z0-9+.-]*)://[^\s:/@?#'\"<>]*:)(?P<rest>[^\s'\"<>]+)@", re.IGNORECASE
)
_PORT = re.compile(r"\d+(?:[/?#]|$)")
# A token in the place of a user, where no database is spoken to.
_TOKEN_AS_USER = re.compile(r"(?P<open>\bhttps?://)[^\s:/@?#'\"<>]+@", re.IGNORECASE)
_PARAMETER = re.compile(r"(?P<before>[?&;#])(?P<name>[^\s=&;?#'\"]{1,60})=(?P<value>[^\s&#'\"<>;]*)")
# Name=value; of a connection string, name=value of libpq, also with blanks, quotes and braces around the value.
_PAIR = re.compile(
    rf"(?<![A-Za-z0-9])(?P<name>{_SURE})(?P<is>\s*=\s*)"
    r"(?P<value>\{(?:[^}]|\}\})*\}|'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\"|[^\s;&]+)",
    re.IGNORECASE,
)


def redacted(text: str) -> str:
    """An address, or a sentence that holds some, without passwords, keys, tokens and signatures.

    Hidden are the password of `scheme://user:password@host` (and a token in the place of an http user), parameters such
    as `?password=`, `&sslpassword=`, `&sig=`, and parts of connection strings such as `AccountKey=`, `PWD={..}`, also
    those inside `odbc_connect=`. Everything else stays as it is.
    """
    if "=" not in text and "@" not in text:
        return text
    text = _WITH_PASSWORD.sub(_user, text)
    text = _TOKEN_AS_USER.sub(lambda found: f"{found['open']}{HIDDEN}@", text)
    text = _PAIR.sub(lambda found: f"{found['name']}{found['is']}{HIDDEN}", text)
    return _PARAMETER.sub(_parameter, text)


def _user(found: re.Match[str]) -> str:
    is_port = found["scheme"].lower() in ("http", "https", "ws", "wss") and _PORT.match(found["rest"])
    return found[0] if is_port else f"{found['open']}{HIDDEN}@"


def _parameter(found: re.Match[str]) -> str:
    name, value = unquote_plus(found["name"]), found["value"]
    if not value:
        return found[0]
    if _NESTED_NAME.fullmatch(name):
        whole = unquote_plus(value)
        inside = redacted(whole)
        value = value if inside == whole else quote_plus(inside, safe="*")
    elif _QUERY_NAME.fullmatch(name):
        value = HIDDEN
    return f"{found['before']}{found['name']}={value}"


def sqlite_address(file: Path) -> str:
    """The address of an SQLite file. What means something in an address is escaped; SQLAlchemy reads it back."""
    return f"sqlite:///{_escaped(str(file))}"


def _escaped(path: str) -> str:
    return "".join(quote(sign, safe="") if sign in "%?#" else sign for sign in path)


def toml_string(text: str) -> str:
    """text as a TOML string, quotes included. JSON's strings are TOML's, but for one sign."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
