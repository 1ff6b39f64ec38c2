"""A blob container as a store, on a real Azurite: the same promises as a folder, and each refusal in one sentence."""

import base64
import hashlib
import io
import os
import pickle
import threading
import time
from datetime import timedelta

import pytest

from chimp_assets.archive.storage import azure, objects
from chimp_assets.archive.storage.store import BlobStore, MissingBlobError, StoreError
from chimp_assets.home import init_home
from chimp_assets_tests.azure.azurite import ACCOUNT, KEY, Azurite, why_not

NAMES = [
    "a/x.mp4", "a.mp4", "a-b/1.mp4", "a/b/c.mp4", "é/ñ clip#1 50%.MP4", "b.mp4", "a b.mp4", "z/~y?.mp4",
    "Ümläut 100%25 [1].mp4", "e\u0301.mp4", "+&=;@,'().mp4", "Z.mp4", "狒狒/视频.mp4",
]  # fmt: skip


@pytest.fixture
def container(with_key, request) -> str:
    """The address of a container of this test's own."""
    return with_key.make_container(f"t-{abs(hash(request.node.nodeid)) % 10**12}")


@pytest.fixture(params=["", "/deep/er #1"])
def store(container, request) -> BlobStore:
    return BlobStore.open(container + request.param)


def test_what_is_put_comes_back_whole_and_in_ranges(store):
    content = os.urandom(300_000)
    for key, source in {"k/b": content, "k/m": memoryview(bytearray(content)), "k/f": io.BytesIO(content)}.items():
        store.put(key, source)
        assert store.get(key) == content
        assert store.get_range(key, 255, 3) == content[255:258]
        assert store.get_range(key, 299_990, 100) == content[-10:]
        assert store.get_range(key, 400_000, 10) == b""
        starts, lengths = [200_000, 5, 0, 6, 9], [100, 10, 3, 2, 0]
        assert store.get_ranges(key, starts, lengths) == [
            content[s : s + n] for s, n in zip(starts, lengths, strict=True)
        ]
        with store.open_reader(key) as file:
            file.seek(-5, io.SEEK_END)
            assert file.read() == content[-5:]
        assert store.content_hash(key) == hashlib.blake2b(content, digest_size=32).hexdigest()
    store.put("empty", b"")
    assert store.get("empty") == b""
    assert store.get_range("empty", 0, 5) == b""


def test_a_listing_is_sorted_by_key_with_odd_names_and_goes_on_after_any_key(store):
    """The same order as a folder's, or an archive would get other ids in Azure than on a disk."""
    for name in NAMES:
        store.put(name, b"1")
        assert store.get(name) == b"1"
    assert [info.key for info in store.list()] == sorted(NAMES)
    for after in [*NAMES, "a/", "a/b", "zz", "A", "\uffff"]:
        assert [info.key for info in store.list(after=after)] == [n for n in sorted(NAMES) if n > after], after
    assert [info.key for info in store.list("a")] == ["a/b/c.mp4", "a/x.mp4"]
    assert list(store.list("nothing")) == []
    assert next(store.list()) == store.head(sorted(NAMES)[0])


def test_a_key_with_a_backslash_is_refused(container):
    """Addresses turn it into a slash: the blob would lie under another key than its row says."""
    with pytest.raises(StoreError, match="backslash"):
        BlobStore.open(container).put("q\\r.tar", b"1")


def test_a_listing_that_goes_on_asks_the_service_to_begin_there(container, azurite):
    """Read from the start and thrown away, a listing of a million blobs would cost 200 requests at every tick."""
    store = BlobStore.open(container + "/p")
    for n in range(20):
        store.put(f"v{n:02d}.mp4", b"1")
    before = len(azurite.requests())
    assert [info.key for info in store.list(after="v16.mp4")] == ["v17.mp4", "v18.mp4", "v19.mp4"]
    asked = [path for method, path, _ in azurite.requests()[before:] if "comp=list" in path]
    assert len(asked) == 1
    assert "startFrom=p%2Fv16.mp4" in asked[0]


def test_folder_markers_of_other_tools_do_not_disturb_a_listing(container, with_key):
    """The portal keeps an empty folder as a blob `fold/`, which sorts after `fold-x`."""
    client = with_key.client().get_container_client(container.removeprefix("az://"))
    for name in ("fold-x.mp4", "fold/", "fold/a.mp4"):
        client.upload_blob(name, b"" if name.endswith("/") else b"1")
    assert [info.key for info in BlobStore.open(container).list()] == ["fold-x.mp4", "fold/a.mp4"]


def test_a_name_that_cannot_be_used_fails_the_listing_by_name(container, with_key):
    """A failed listing is not an empty one: with half of it, the other half would be retired."""
    client = with_key.client().get_container_client(container.removeprefix("az://"))
    client.upload_blob("a//b.mp4", b"1")
    with pytest.raises(StoreError, match=r"a//b\.mp4"):
        list(BlobStore.open(container).list())


def test_missing_blobs_are_named_and_differ_from_a_missing_container(container, with_key):
    """A container that was removed would otherwise look like an archive whose every file vanished."""
    store = BlobStore.open(container)
    reads = [
        lambda: store.get("no/such"),
        lambda: store.get_range("no/such", 0, 1),
        lambda: store.get_ranges("no/such", [0], [1]),
        lambda: store.get_ranges("no/such", [0, 50_000_000], [1, 1]),
        lambda: store.open_reader("no/such"),
    ]
    assert store.head("no/such") is None
    for read in reads:
        with pytest.raises(MissingBlobError, match="no/such"):
            read()
    store.delete("no/such")

    with_key.client().delete_container(container.removeprefix("az://"))
    for use in [
        *reads,
        lambda: store.head("no/such"),
        lambda: store.put("k", b"1"),
        lambda: store.put("k", bytes(20_000_000)),
        lambda: list(store.list()),
        lambda: store.delete("no/such"),
    ]:
        with pytest.raises(StoreError, match="no container t-") as refused:
            use()
        assert not isinstance(refused.value, MissingBlobError)


def test_a_large_blob_is_sent_in_blocks_and_fetched_in_ranges_with_its_hash(container, azurite, tmp_path):
    """40 MiB: five blocks and their list; fetched in pieces that are not larger than memory allows."""
    store = BlobStore.open(container)
    content = os.urandom(40 * 1024 * 1024 + 17)
    before = len(azurite.requests())
    store.put("big.tar", memoryview(content))
    writes = [path for method, path, _ in azurite.requests()[before:] if method == "PUT"]
    assert len([path for path in writes if "comp=block&" in path]) == 6
    assert len(writes) == 7

    beats = []
    before = len(azurite.requests())
    digest = store.download("big.tar", tmp_path / "big.tar", lambda: beats.append(time.monotonic()))
    assert (tmp_path / "big.tar").read_bytes() == content
    assert digest == hashlib.blake2b(content, digest_size=32).hexdigest() == store.content_hash("big.tar")
    assert len([1 for method, _, _ in azurite.requests()[before:] if method == "GET"]) >= 11
    assert beats

    before = len(azurite.requests())
    step = 20_000
    starts = list(range(0, 256 * step, step))
    pieces = store.get_ranges("big.tar", [*starts, 39_000_000], [*[step - 100] * 256, 5])
    assert pieces[255] == content[starts[255] : starts[255] + step - 100]
    assert pieces[256] == content[39_000_000:39_000_005]
    assert len([1 for method, _, _ in azurite.requests()[before:] if method == "GET"]) == 2


def test_a_writer_that_fails_in_the_middle_leaves_the_old_blob(container):
    """Half an upload must never be read: blocks become a blob with their list, or not at all."""
    store = BlobStore.open(container)
    store.put("s.tar", b"old")

    class Dies(io.RawIOBase):
        n = 0

        def read(self, size=-1):
            self.n += 1
            if self.n > 3:
                raise RuntimeError("the reader died")
            return os.urandom(8 * 1024 * 1024)

    with pytest.raises(StoreError, match=r"s\.tar"):
        store.put("s.tar", Dies())
    assert store.get("s.tar") == b"old"
    assert [info.key for info in store.list()] == ["s.tar"]


def test_a_blob_that_is_replaced_while_it_is_fetched_is_not_mixed(container, tmp_path, monkeypatch):
    """The first half of one video and the second of another would decode, with the wrong pictures."""
    monkeypatch.setattr(objects, "GET_BLOCK", 1024)
    monkeypatch.setattr(objects, "GET_IN_FLIGHT", 1)
    store = BlobStore.open(container)
    store.put("v.mp4", b"a" * 10_000)
    replaced = []

    def replace_once():
        if not replaced:
            replaced.append(True)
            store.put("v.mp4", b"b" * 10_000)

    with pytest.raises(MissingBlobError, match="replaced"):
        store.download("v.mp4", tmp_path / "v.mp4", replace_once)
    assert list(tmp_path.iterdir()) == []
    assert store.download("v.mp4", tmp_path / "v.mp4", lambda: None)
    with pytest.raises(MissingBlobError, match="no/such"):
        store.download("no/such", tmp_path / "x", lambda: None)


def test_a_store_travels_to_another_process_without_its_secrets(container):
    store = BlobStore.open(container + "/p")
    store.put("k", b"x")
    frozen = pickle.dumps(store)
    assert KEY.encode() not in frozen
    assert pickle.loads(frozen).get("k") == b"x"
    assert KEY not in repr(azure.account_of())


def test_reading_and_writing_outlive_a_restart_of_the_service(tmp_path, monkeypatch):
    """Azure moves its servers as it likes: a minute of silence must not end a week of decoding."""
    if reason := why_not():
        pytest.skip(reason)
    with Azurite(tmp_path / "azurite") as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        store = BlobStore.open(server.make_container("moved"))
        content = os.urandom(9_000_000)
        store.put("before", content)
        server.stop()
        again = threading.Timer(3, server.start)
        again.start()
        beats = []
        assert store.download("before", tmp_path / "v", lambda: beats.append(1)) == store.content_hash("before")
        again.join()
        assert len(beats) > 3  # it says that it waits: a child process that is silent would be ended

        server.stop()
        again = threading.Timer(2, server.start)
        again.start()
        store.put("after", memoryview(content))
        again.join()
        assert [info.key for info in store.list()] == ["after", "before"]
        assert store.get("after") == content


# Refusals. Each must name what is wrong and hold no secret.


def _says(use, *words, secret=KEY, missing=False) -> None:
    with pytest.raises(StoreError) as refused:
        use()
    error = refused.value
    for word in words:
        assert word in error.sentence, str(error)
    assert error.remedy
    assert error.sentence.count(". ") == 0, error.sentence
    assert "\n" not in error.sentence
    assert "REDACTED" not in error.sentence
    while error is not None:
        assert secret not in f"{error!s} {error!r}"
        error = error.__cause__
    assert isinstance(refused.value, MissingBlobError) == missing


def _uses(store):
    return [
        lambda: store.head("k"),
        lambda: store.get("k"),
        lambda: store.get_range("k", 0, 1),
        lambda: store.get_ranges("k", [0, 50_000_000], [1, 1]),
        lambda: list(store.list()),
        lambda: store.put("k", b"1"),
        lambda: store.put("k", bytes(20_000_000)),
        lambda: store.delete("k"),
    ]


def test_a_container_that_is_not_there_is_named(with_key):
    _says(lambda: BlobStore.open("az://not-made/p"), "no container not-made", ACCOUNT)


@pytest.mark.parametrize("url", ["az://Bad_Name/p", "az://a", "az://devstoreaccount1.blob.core.windows.net/store"])
def test_an_address_without_a_container_name_is_refused(with_key, url):
    _says(lambda: BlobStore.open(url), "cannot be the name of an Azure container")


def test_a_wrong_key_is_called_so(container, azurite, monkeypatch):
    store = BlobStore.open(container)
    wrong = base64.b64encode(b"x" * 64).decode()
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", wrong)
    _says(lambda: BlobStore.open(container), "the account key is not accepted", secret=wrong)
    for use in _uses(pickle.loads(pickle.dumps(store))):
        _says(use, "the account key is not accepted", secret=wrong)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "not/base64!secret")
    _says(lambda: BlobStore.open(container), ACCOUNT, "cannot be used", secret="not/base64!secret")


@pytest.fixture
def with_sas(container, azurite, monkeypatch):
    """with_sas(sas): only this SAS is in the environment from then on."""

    def use(sas: str) -> str:
        monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_KEY", raising=False)
        for name, value in azurite.environment_with_sas(sas).items():
            monkeypatch.setenv(name, value)
        return container

    return use


def test_a_sas_reads_and_writes(with_sas, azurite, tmp_path):
    for sas in (azurite.sas(), "?" + azurite.sas()):
        store = BlobStore.open(with_sas(sas) + "/p")
        store.put("a b#1/k", b"1")
        store.put("big", bytes(20_000_000))
        assert [info.key for info in store.list()] == ["a b#1/k", "big"]
        assert store.get("a b#1/k") == b"1"
        assert store.download("big", tmp_path / "big", lambda: None) == store.content_hash("big")


def test_an_expired_sas_says_since_when(with_sas, azurite):
    sas = azurite.sas(lasts=timedelta(hours=-1))
    secret = sas.split("sig=")[1]
    _says(lambda: BlobStore.open(with_sas(sas)), "the SAS expired on", secret=secret)
    store = BlobStore.of_message({"url": with_sas(sas), "folder": None})
    for use in _uses(store):
        _says(use, "the SAS expired on", secret=secret)


def test_a_sas_that_expires_in_the_middle_says_so(with_sas, azurite):
    sas = azurite.sas(lasts=timedelta(seconds=2))
    store = BlobStore.open(with_sas(sas))
    store.put("k", b"1")
    time.sleep(3)
    _says(lambda: store.put("k", b"2"), "k in az://", "could not be written: the SAS expired on")
    store = BlobStore.open(with_sas(azurite.sas()))
    assert store.get("k") == b"1"


def test_a_read_only_sas_reads_and_says_what_it_lacks(with_sas, azurite, container):
    sas = azurite.sas("rl")
    address = with_sas(azurite.sas())
    BlobStore.open(address).put("k", b"1")
    store = BlobStore.open(with_sas(sas))
    assert store.get("k") == b"1"
    assert len(list(store.list())) == 1
    for content in (b"2", bytes(20_000_000)):
        _says(lambda: store.put("k", content), "the SAS does not allow it", "rl", secret=sas.split("sig=")[1])  # noqa: B023
    assert store.get("k") == b"1"
    no_list = BlobStore.open(with_sas(azurite.sas("r")))
    _says(lambda: list(no_list.list()), "could not be listed: the SAS does not allow it")


def test_a_sas_copied_in_part_is_not_accepted(with_sas, azurite):
    sas = azurite.sas()[:-9]
    _says(lambda: BlobStore.open(with_sas(sas)), "the SAS is not accepted", secret=sas.split("sig=")[1])
    _says(lambda: BlobStore.open(with_sas("garbage")), "cannot be used", secret="garbage")


def test_no_account_and_no_credential_are_told_at_once(monkeypatch):
    """Left to itself, obstore asks for a managed identity for minutes, on a laptop that has none."""
    began = time.monotonic()
    _says(lambda: BlobStore.open("az://store"), "No Azure storage account")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "someone")
    _says(lambda: BlobStore.open("az://store"), "No credential for Azure")
    monkeypatch.setenv("AZURE_CREDENTIAL_TYPE", "password")
    _says(lambda: BlobStore.open("az://store"), "not a credential type")
    assert time.monotonic() - began < 2


def test_an_account_that_is_not_there_and_a_network_that_is_down_differ(monkeypatch):
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "nobody")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", KEY)
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", "https://nobody.blob.invalid")
    began = time.monotonic()
    _says(lambda: BlobStore.open("az://store"), "nobody", "was not found")
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", "http://127.0.0.1:9/nobody")
    _says(lambda: BlobStore.open("az://store"), "127.0.0.1:9 does not answer")
    assert time.monotonic() - began < 60


# The environment. A managed identity cannot be had here: that it is asked for is what can be tested.


@pytest.mark.parametrize(
    ("environment", "credential"),
    [
        ({"AZURE_STORAGE_ACCOUNT_KEY": KEY}, "access_key"),
        ({"AZURE_STORAGE_ACCOUNT_KEY": KEY, "AZURE_STORAGE_SAS_TOKEN": "sig=x"}, "access_key"),
        ({"AZURE_STORAGE_SAS_TOKEN": "?sv=1&sig=x"}, "sas_token"),
        ({"AZURE_STORAGE_SAS_KEY": "sv=1&sig=x", "AZURE_CLIENT_ID": "other tool"}, "sas_token"),
        ({"AZURE_STORAGE_TOKEN": "t"}, "bearer_token"),
        ({"AZURE_CLIENT_ID": "c", "AZURE_TENANT_ID": "t", "AZURE_CLIENT_SECRET": "s"}, "client_secret"),
        ({"AZURE_CLIENT_ID": "c", "AZURE_TENANT_ID": "t", "AZURE_FEDERATED_TOKEN_FILE": "/f"}, "workload_identity"),
        ({"AZURE_USE_AZURE_CLI": "true"}, "azure_cli"),
        ({"AZURE_CREDENTIAL_TYPE": "managed_identity"}, "managed_identity"),
        ({"AZURE_CLIENT_ID": "c"}, "managed_identity"),
        ({"IDENTITY_ENDPOINT": "http://localhost:42356/msi/token"}, "managed_identity"),
        (
            {"MSI_ENDPOINT": "http://127.0.0.1:1/MSI", "MSI_SECRET": "s", "AZURE_CLIENT_ID": "c"},
            "job_identity",
        ),
        ({"AZURE_STORAGE_ACCOUNT_KEY": KEY, "AZURE_CREDENTIAL_TYPE": "azure_cli"}, "azure_cli"),
        ({"AZURE_SKIP_SIGNATURE": "true"}, "none"),
    ],
)
def test_the_environment_chooses_one_credential(environment, credential, monkeypatch):
    environment = {"AZURE_STORAGE_ACCOUNT_NAME": "someone", **environment}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    account = azure.account_of()
    assert (account.name, account.host, account.credential) == (
        "someone",
        "someone.blob.core.windows.net",
        credential,
    )
    opened = azure.open_container(account, "store", "p")
    if credential not in ("none", "job_identity"):
        assert opened.config["credential_type"] == credential
    assert opened.retry_config["retry_timeout"] >= timedelta(minutes=2)


@pytest.mark.parametrize(
    ("text", "name", "host", "credential"),
    [
        (f"DefaultEndpointsProtocol=https;AccountName=acc;AccountKey={KEY};EndpointSuffix=core.chinacloudapi.cn",
         "acc", "acc.blob.core.chinacloudapi.cn", "access_key"),
        ("BlobEndpoint=https://acc.blob.core.windows.net/;SharedAccessSignature=sv=1&sp=rl&sig=a%3D%3D",
         "acc", "acc.blob.core.windows.net", "sas_token"),
        ("UseDevelopmentStorage=true", ACCOUNT, "127.0.0.1:10000", "access_key"),
    ],
)  # fmt: skip
def test_a_connection_string_of_the_portal_is_understood(text, name, host, credential):
    """obstore does not read them, and they are what the portal offers first."""
    account = azure.account_of({"AZURE_STORAGE_CONNECTION_STRING": text})
    assert (account.name, account.host, account.credential) == (name, host, credential)
    azure.open_container(account, "store", "")
    with pytest.raises(StoreError, match="not a connection string"):
        azure.account_of({"AZURE_STORAGE_CONNECTION_STRING": "acc"})


def test_a_connection_string_reaches_the_account(container, azurite, monkeypatch):
    for name in azurite.environment():
        monkeypatch.delenv(name)
    text = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={azurite.endpoint};"
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
    store = BlobStore.open(container)
    store.put("k", b"1")
    assert store.get("k") == b"1"


def test_the_doctor_says_whether_a_container_can_be_written(container, azurite, tmp_path, monkeypatch):
    from chimp_assets.operations.doctor import examine

    monkeypatch.setenv("CHIMP_STORE_URL", container)
    monkeypatch.setenv("CHIMP_ARCHIVE_URL", container)
    home = init_home(tmp_path / "home")
    found = {finding.part: finding for finding in examine(home)}
    assert found["store"].verdict == "well"
    assert list(home.store.list()) == []
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_KEY")
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", azurite.sas("rl"))
    found = {finding.part: finding for finding in examine(type(home)(home.settings))}
    assert found["store"].verdict == "ill"
    assert "the SAS does not allow it" in found["store"].says
