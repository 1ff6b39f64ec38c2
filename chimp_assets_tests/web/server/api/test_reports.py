"""Kept reports on the page: listed, served in a sandbox, for people who are signed in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from chimp_assets.home import Home
from chimp_assets.insight.report.kept import keep_report
from chimp_assets_tests.web.server.conftest import Browser


def test_a_kept_report_is_served_as_it_was_made_and_runs_nothing(home: Home, browser: Callable[..., Browser]) -> None:
    lotte = browser("lotte")
    assert "None has been made yet" in lotte.get("/report").text
    keep_report(home, at=datetime(2026, 3, 2, tzinfo=UTC))
    assert "/report/2026-03-02.html?lang=en" in lotte.get("/report").text
    page = lotte.get("/report/2026-03-02.html?lang=fr")
    assert '<html lang="fr">' in page.text
    policy = page.headers["content-security-policy"]
    assert "sandbox" in policy
    assert "script-src" not in policy
    assert "default-src 'none'" in policy
    assert lotte.get("/report/2026-03-02.json").json()["day"] == "2026-03-02"
    for missing, status in (("2026-03-03.html", 404), ("2026-03-03.json", 404), ("2026-03-02.html?lang=xx", 422),
                            ("2026-13-40.html", 422), ("..%2f..%2fchimp.html", 404)):  # fmt: skip
        assert lotte.get(f"/report/{missing}").status_code == status, missing
    assert browser().get("/report/2026-03-02.html").status_code in (303, 401)
