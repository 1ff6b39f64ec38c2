"""Dagster's real web UI behind the door, in a real browser: it works for who signed in, and for no page of others.

One process for all of them: loading the asset graph takes seconds.
"""

from __future__ import annotations

import http.server
import importlib
import json
import signal
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from chimp_assets.assets.parts import markdown_table
from chimp_assets.home import Home, init_home
from chimp_assets.operations.supervisor import page_arguments, running, web_arguments
from chimp_assets.web.dagster import ui_token

HOSTILE = (
    "![x](http://127.0.0.1:{elsewhere}/image.png) http://127.0.0.1:{elsewhere}/link <img src=/graphql?query=x>.mp4"
)
SENSORS = """{ sensorsOrError(
    repositorySelector: {repositoryName: "__repository__", repositoryLocationName: "chimp_assets"}
  ) { ... on Sensors { results { name sensorState { id status } } } } }"""
STOP = "mutation { stopSensor(id: %s) { __typename } }"
HALF = b"POST /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"


class Elsewhere(http.server.ThreadingHTTPServer):
    """A page of somebody else on this machine, which notes what is asked of it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.html = ""
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(outer.html.encode())

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"


@dataclass
class Ui:
    """The web UI of a home."""

    home: Home
    url: str
    link: str
    elsewhere: Elsewhere
    log: Path
    token: str

    def post(self, query: str, **headers: str) -> Any:
        """A request of the web UI's own page, by a program."""
        own = {
            "Cookie": f"chimp-ui={self.token}",
            "Origin": self.url,
            "Content-Type": "application/json",
        }
        sent = urllib.request.Request(f"{self.url}/graphql", json.dumps({"query": query}).encode(), own | headers)
        with urllib.request.urlopen(sent, timeout=60) as answer:
            return json.load(answer)["data"]

    def sensors(self) -> dict[str, dict[str, str]]:
        return {one["name"]: one["sensorState"] for one in self.post(SENSORS)["sensorsOrError"]["results"]}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def within(descriptors: int, command: list[str]) -> list[str]:
    """The command in a process that may open so many files."""
    return ["sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh", *command]


def wait_for(url: str, child: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(1_200):
        try:
            urllib.request.urlopen(url, timeout=60)
        except urllib.error.HTTPError:
            return
        except OSError:
            assert child.poll() is None, log.read_text()
            threading.Event().wait(0.1)
        else:
            return
    raise AssertionError(log.read_text())


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    home = init_home(tmp_path_factory.mktemp("ui") / "home")
    elsewhere = Elsewhere()
    threading.Thread(target=elsewhere.serve_forever, daemon=True).start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(home.settings.dagster_home))
        with dg.DagsterInstance.get() as instance:
            instance.add_dynamic_partitions("bundle", ["cam-0001"])
            name = HOSTILE.format(elsewhere=elsewhere.server_port)
            table = markdown_table([{"file": name, "error": f"{name}: moov atom not found"}])
            for _ in range(2):
                instance.report_runless_asset_event(
                    dg.AssetMaterialization("champion_head", metadata={"failed_files": table, "name": name})
                )
    port = free_port()
    token = ui_token.renew(home)
    with running(home, {"web": within(128, web_arguments("127.0.0.1", port))}) as [child]:
        url = f"http://127.0.0.1:{port}"
        wait_for(url, child.process, child.log)
        yield Ui(home, url, f"{url}/?token={token}", elsewhere, child.log, token)
        elsewhere.shutdown()


@pytest.fixture
def page(browser: Any, ui: Ui) -> Iterator[Any]:
    """A page of somebody who opened the link that `chimp up` printed."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    made = context.new_page()
    made.asked, made.problems = [], []
    made.on("request", lambda request: made.asked.append((request.method, request.url)))
    made.on("console", lambda said: made.problems.append(said.text) if said.type == "error" else None)
    made.goto(ui.link)
    yield made
    context.close()


def test_what_is_used_of_dagsters_insides_is_there() -> None:
    """Four private names: a new version of Dagster that moves them must fail here and not when somebody starts it."""
    for module, name in (
        ("dagster._core.workspace.context", "WorkspaceProcessContext"),
        ("dagster._core.workspace.load_target", "WorkspaceFileTarget"),
        ("dagster_webserver.app", "create_app_from_workspace_process_context"),
        ("dagster_webserver.version", "__version__"),
    ):
        assert hasattr(importlib.import_module(module), name)


def test_the_web_ui_works_for_who_opened_the_link(page: Any, ui: Ui) -> None:
    """Pages, live data by websocket, and a change made by its own button."""
    assert "token" not in page.url
    page.goto(f"{ui.url}/runs")
    page.get_by_text("Runs", exact=True).first.wait_for()
    page.goto(f"{ui.url}/automation")
    row = page.locator("[class*=Row], tr, div").filter(has_text="queue_low").last
    row.wait_for()
    name = "queue_low"
    assert ui.sensors()[name]["status"] == "RUNNING"
    page.goto(f"{ui.url}/locations/__repository__@chimp_assets/sensors/{name}")
    page.get_by_role("switch").or_(page.locator("input[type=checkbox]")).first.wait_for(state="attached")
    with page.expect_response(lambda answer: "graphql" in answer.url and "top" in (answer.request.post_data or "")):
        page.locator("label:has(input[type=checkbox]), button[role=switch]").first.click()
    assert ui.sensors()[name]["status"] == "STOPPED"
    assert not [problem for problem in page.problems if "Content Security Policy" in problem]
    assert ui.token not in ui.log.read_text()


def test_a_hostile_file_name_makes_the_browser_ask_for_nothing(page: Any, ui: Ui) -> None:
    """The first one wiped every materialisation as soon as somebody looked."""
    ui.elsewhere.asked.clear()
    page.goto(f"{ui.url}/assets/champion_head?view=events")
    page.get_by_text("failed_files").first.wait_for()
    for shown in page.get_by_text("[Show Markdown]").all()[:1]:
        shown.click()
    page.locator("code", has_text="image.png").first.wait_for()
    assert page.locator(f"img[src*=':{ui.elsewhere.server_port}'], a[href*=':{ui.elsewhere.server_port}']").count() == 0
    assert {url.split("/")[2] for _, url in page.asked if url.startswith("http")} == {ui.url.split("/")[2]}
    assert not [url for method, url in page.asked if method == "GET" and "/graphql" in url]
    assert ui.elsewhere.asked == []


def test_a_page_of_somebody_else_changes_nothing(page: Any, ui: Ui) -> None:
    """The browser is signed in, and another port of the same machine gets its cookies."""
    name, state = next((name, state) for name, state in ui.sensors().items() if state["status"] == "RUNNING")
    mutation = STOP % json.dumps(state["id"])
    ui.elsewhere.html = f"""<!doctype html><iframe src="{ui.url}/runs" id=frame></iframe>
      <form method=post enctype=text/plain action={ui.url}/graphql target=away>
        <input name='{{"query": {json.dumps(mutation)}, "x": "' value='"}}'></form><iframe name=away></iframe>
      <script>
      const mutation = {json.dumps(mutation)}, ui = {json.dumps(ui.url)};
      const body = JSON.stringify({{query: mutation}});
      const address = ui + "/graphql?query=" + encodeURIComponent(mutation);
      const image = new Promise(done => {{
        const one = new Image(); one.onload = one.onerror = done; one.src = address; }});
      const socket = new Promise(done => {{
        const one = new WebSocket(ui.replace("http", "ws") + "/graphql", "graphql-ws");
        one.onopen = () => done("open"); one.onerror = () => done("refused"); }});
      const simple = fetch(ui + "/graphql", {{method: "POST", mode: "no-cors", credentials: "include",
        headers: {{"Content-Type": "text/plain"}}, body}}).catch(() => "refused");
      const blob = navigator.sendBeacon(ui + "/graphql", new Blob([body], {{type: "text/plain"}}));
      const asked = fetch(ui + "/graphql", {{method: "POST", credentials: "include",
        headers: {{"Content-Type": "application/json"}}, body}}).catch(() => "refused");
      const read = fetch(address, {{credentials: "include"}}).catch(() => "refused");
      document.forms[0].submit();
      window.done = Promise.all([image, socket, simple, asked, read]).then(all => [all[1], all[3], all[4]]);
      </script>"""
    page.goto(ui.elsewhere.url)
    assert page.evaluate("window.done") == ["refused", "refused", "refused"]
    page.wait_for_load_state("networkidle")
    framed = [frame for frame in page.frames if frame.url.startswith(ui.url)]
    assert all("Runs" not in frame.content() for frame in framed)
    assert ui.sensors()[name]["status"] == "RUNNING"


def test_programs_without_a_token_or_with_another_host_get_nothing(ui: Ui) -> None:
    for headers in ({"Cookie": ""}, {"Cookie": "chimp-ui=x"}, {"Host": "evil.example"}, {"Origin": ui.elsewhere.url}):
        with pytest.raises(urllib.error.HTTPError) as refused:
            ui.post("{ version }", **headers)
        assert refused.value.code in (401, 403, 421)


def _half(port: int) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), timeout=60)
    made.sendall(HALF)
    return made


def flood(url: str) -> int:
    """What a request is answered after 80 connections that send nothing and 120 whose bodies do not end."""
    port = int(url.split(":")[2].partition("/")[0])
    opened = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(80)]
    opened += [_half(port) for _ in range(120)]
    try:
        return int(urllib.request.urlopen(url, timeout=60).status)
    except urllib.error.HTTPError as error:
        return error.code
    finally:
        for one in opened:
            one.close()


def test_half_requests_and_idle_connections_keep_nobody_out_of_the_web_ui(ui: Ui) -> None:
    assert flood(f"{ui.url}/") == 401


@pytest.mark.long
def test_half_requests_and_idle_connections_keep_nobody_out_of_the_page_at_64_descriptors(home: Home) -> None:
    port = free_port()
    with running(home, {"page": within(64, page_arguments(port))}) as [child]:
        url = f"http://127.0.0.1:{port}/healthz"
        wait_for(url, child.process, child.log)
        assert flood(url) == 200
        child.process.send_signal(signal.SIGINT)
        assert child.process.wait(60) == 0
        assert "Traceback" not in child.log.read_text()
