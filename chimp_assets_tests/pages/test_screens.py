"""The pages in a real browser: for everybody, and nothing that the content-security policy has to stop."""

import pytest

PATHS = ("/", "/individuals", "/individual/FF")


@pytest.mark.parametrize("path", PATHS)
def test_no_serious_finding_no_error_nothing_from_elsewhere(page, address, path):
    """Somebody who cannot see, or has no connection but to this server, is left out."""
    from axe_playwright_python.sync_playwright import Axe

    asked = []
    page.on("request", lambda request: asked.append(request.url))
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.goto(path, wait_until="networkidle")
        found = Axe().run(page).response["violations"]
        serious = [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")]
        assert serious == [], scheme
    assert page.errors == []
    assert asked
    assert all(url.startswith(address) for url in asked)


def test_the_first_page_begins_with_going_on(page):
    """One press of Enter after signing in should be enough to work."""
    page.goto("/")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "/label"
