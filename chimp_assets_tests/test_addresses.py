"""Addresses: paths come back as they were, and no secret is shown, whatever form it has."""

import tomllib
from pathlib import Path
from urllib.parse import quote_plus

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from chimp_assets.addresses import redacted, sqlite_address, toml_string
from chimp_assets.database.connection.engine import Database

SECRET = "s3cret-Hunter2"

# ruff: noqa: E501
SHOWN = {
    f"postgresql+psycopg://jane:{SECRET}@host:5432/db?sslmode=require": "postgresql+psycopg://jane:***@host:5432/db?sslmode=require",
    f"postgresql://jane:12/{SECRET}@x?y#z@host/db": "postgresql://jane:***@host/db",
    f"postgresql://host/db?user=jane&password={SECRET}&sslmode=require": "postgresql://host/db?user=jane&password=***&sslmode=require",
    f"postgresql://host/db?sslmode=require&sslpassword={SECRET}": "postgresql://host/db?sslmode=require&sslpassword=***",
    f"postgresql://host/db?%70assword={SECRET}": "postgresql://host/db?%70assword=***",
    f"az://films/prefix?sv=2024-01-01&sp=rl&sig={SECRET}%3D&se=2027": "az://films/prefix?sv=2024-01-01&sp=rl&sig=***&se=2027",
    f"https://acc.blob.core.windows.net/films?SIG={SECRET}": "https://acc.blob.core.windows.net/films?SIG=***",
    f"https://{SECRET}@host/path": "https://***@host/path",
    f"https://jane:{SECRET}@host/path": "https://jane:***@host/path",
    f"redis://:{SECRET}@host:6379/0": "redis://:***@host:6379/0",
    f"DefaultEndpointsProtocol=https;AccountName=acc;AccountKey={SECRET}==;EndpointSuffix=core.windows.net": "DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=***;EndpointSuffix=core.windows.net",
    f"BlobEndpoint=https://acc/;SharedAccessSignature=sv=1&sig={SECRET}": None,
    f"mssql+pyodbc:///?odbc_connect={quote_plus(f'DRIVER={{ODBC}};SERVER=host;UID=jane;PWD={SECRET}')}": f"mssql+pyodbc:///?odbc_connect={quote_plus('DRIVER={ODBC};SERVER=host;UID=jane;PWD=***', safe='*')}",
    f"mssql+pyodbc:///?odbc_connect=DRIVER={{ODBC}};PWD={{a;b }}}} {SECRET}}};UID=jane": "mssql+pyodbc:///?odbc_connect=DRIVER={ODBC};PWD=***;UID=jane",
    f"host=db user=jane password='two words {SECRET}' dbname=x": "host=db user=jane password=*** dbname=x",
    f"Server=host; User Id=jane; Password = {SECRET}; Encrypt=yes": "Server=host; User Id=jane; Password = ***; Encrypt=yes",
    f"mssql+mssqlpython://host/db?AccessToken={SECRET}": "mssql+mssqlpython://host/db?AccessToken=***",
    f"https://host/hook?client_secret={SECRET}&x=1": "https://host/hook?client_secret=***&x=1",
    f"the server at postgresql://jane:{SECRET}@host/db said no": "the server at postgresql://jane:***@host/db said no",
}  # fmt: skip


@pytest.mark.parametrize(("address", "shown"), SHOWN.items())
def test_an_address_is_shown_without_its_secret_and_otherwise_whole(address: str, shown: str | None) -> None:
    assert SECRET not in redacted(address)
    assert shown is None or redacted(address) == shown
    assert redacted(redacted(address)) == redacted(address)


@pytest.mark.parametrize(
    "text",
    [
        "file:///videos/a:b@c/clip%3F.mp4",
        "/videos/site@gombe/a=b;c=d",
        "http://127.0.0.1:3001/label?next=/a@b",
        "az://films/2020/jane@gombe",
        "postgresql+psycopg://jane@host/db?sslmode=require&application_name=chimp",
        "sqlite:////home/jane/chimp.db",
        "line 3, column key: key=3 appears twice",
    ],
)
def test_what_holds_no_secret_is_shown_as_it_is(text: str) -> None:
    assert redacted(text) == text


@given(st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), min_size=1, max_size=40))
def test_any_path_comes_back_from_its_address_and_from_toml(name: str) -> None:
    """`/x/what?home` became the database `/x/what`, outside the home."""
    file = Path("/x") / name.replace("/", "_") / "chimp.db"
    address = sqlite_address(file)
    assert sa.make_url(address).database == str(file)
    assert not sa.make_url(address).query
    assert Database(address).file == file
    assert Database(Database(address).url).file == file
    assert tomllib.loads(f"it = {toml_string(name)}")["it"] == name
