"""The store from a node of Azure ML, whose managed identity obstore cannot ask for."""

import http.server
import json
import threading
import time
from urllib.parse import parse_qs, urlsplit

from chimp_assets.archive.storage import azure


def test_a_job_of_azure_ml_opens_the_store_as_its_managed_identity(monkeypatch):
    """A node offers its identity by a protocol of its own, which obstore does not speak."""
    asked: list[tuple[str, dict[str, list[str]], str]] = []

    class NodeAndStorage(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            asked.append((parts.path, parse_qs(parts.query), self.headers.get("Authorization", "")))
            body = b"content"
            if parts.path == "/msi/token":
                right = self.headers.get("secret") == "node's secret"
                moment = str(int(time.time()) + 3600)
                body = json.dumps({"access_token": "T" if right else "no", "expires_on": moment}).encode()
            self.send_response(200)
            for name, value in (
                ("Content-Type", "application/json"),
                ("ETag", '"1"'),
                ("Last-Modified", "Mon, 06 May 2013 10:00:00 GMT"),
                ("Content-Length", str(len(body))),
            ):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), NodeAndStorage)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("MSI_ENDPOINT", f"{address}/msi/token")
        monkeypatch.setenv("MSI_SECRET", "node's secret")
        monkeypatch.setenv("DEFAULT_IDENTITY_CLIENT_ID", "client")
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "someone")
        monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", f"{address}/someone")
        opened = azure.open_container(azure.account_of(), "store", "p")
        assert [bytes(opened.get("k").bytes()) for _ in range(2)] == [b"content"] * 2
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    tokens = [query for path, query, _ in asked if path == "/msi/token"]
    assert [query["clientid"] for query in tokens] == [["client"]], "one token for both, of the identity that is named"
    assert tokens[0]["resource"] == ["https://storage.azure.com"]
    assert {(path, said) for path, _, said in asked if path != "/msi/token"} == {("/someone/store/p/k", "Bearer T")}
