"""The pages in a real browser: for everybody, and nothing that the content-security policy has to stop."""

from axe_playwright_python.sync_playwright import Axe

PATHS = ("/", "/individuals", "/individual/FF", "/together", "/together?with=FF,FI&names=model&p=0.5")


def test_no_serious_finding_no_error_nothing_from_elsewhere(page, address):
    """Somebody who cannot see, or has no connection but to this server, is left out."""
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    for path in PATHS:
        page.goto(path, wait_until="networkidle")
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            found = Axe().run(page).response["violations"]
            serious = [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")]
            assert serious == [], (path, scheme)
        assert page.errors == [], path
        links = page.eval_on_selector_all("a[href^='/']", "links => links.map(link => link.getAttribute('href'))")
        dead = [link for link in set(links) if page.request.get(link).status != 200]
        assert dead == [], path
    assert asked
    assert [url for url in asked if not url.startswith(address)] == []


def test_the_first_page_begins_with_going_on(page):
    """One press of Enter after signing in should be enough to work."""
    page.goto("/")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "/label"
