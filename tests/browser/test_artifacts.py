"""A run's artifacts in a real browser: looked at, walked through, and kept away from everything of ours."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Watched
from tests.browser.life import Life

pytestmark = pytest.mark.browser

Open = Callable[..., Watched]
SEEN = "ran SecurityError SecurityError SecurityError"
"""What the script of `life.REPORT` writes when it sees no cookie, no page of ours and no storage."""


def test_from_the_run_to_a_file_and_its_bytes(site: Life, open_page: Open) -> None:
    watched = open_page(f"{site.url}/runs/{site.run_id}")
    page = watched.page
    page.get_by_role("link", name="Browse all artifacts").click()
    page.get_by_role("link", name="reports/").click()
    page.get_by_role("link", name="report.html").click()
    expect(page.frame_locator("iframe").locator("#seen")).to_have_text(SEEN)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "report.html"
    page.get_by_role("navigation", name="Folders").get_by_role("link", name="Artifacts").click()
    assert page.url == f"{site.url}/runs/{site.run_id}/artifacts"
    assert watched.problems == []


def test_media_are_drawn_as_they_come_into_sight(site: Life, open_page: Open) -> None:
    watched = open_page(f"{site.url}/runs/{site.run_id}")
    page = watched.page
    image = page.get_by_alt_text("Image val/sample at step 2")
    image.scroll_into_view_if_needed()
    expect(image).to_have_js_property("naturalWidth", 32)
    assert image.bounding_box() and image.evaluate("one => one.width") == 32 * 7
    frame = page.locator("iframe")
    frame.scroll_into_view_if_needed()
    expect(page.frame_locator("iframe").locator("#seen")).to_have_text(SEEN)
    assert watched.problems == []


def test_steps_are_links_that_need_no_script(site: Life, open_page: Open) -> None:
    page = open_page(f"{site.url}/runs/{site.run_id}", java_script_enabled=False).page
    steps = page.get_by_role("navigation", name="Steps of image val/sample")
    assert "Step 2, 3 of 3" in steps.inner_text()
    steps.get_by_role("link", name="Previous").click()
    assert "media.val%2Fsample=1" in page.url
    assert page.get_by_alt_text("Image val/sample at step 1").count() == 1
    steps.get_by_role("link", name="Previous").click()
    steps.get_by_role("link", name="Newest").click()
    assert "media.val" not in page.url
    assert page.get_by_alt_text("Image val/sample at step 2").count() == 1


def test_rows_of_a_table_are_paged_by_the_address(site: Life, open_page: Open) -> None:
    for path in ("tables/all.csv", "tables/all/0.parquet", "tables/errors/0.json"):
        page = open_page(f"{site.url}/runs/{site.run_id}/artifacts/{path}", java_script_enabled=False).page
        assert page.locator("#answer").inner_text().startswith("Rows 1 to 200")
        page.get_by_role("link", name="Next rows").click()
        assert page.locator("#answer").inner_text() == "Rows 201 to 300 of 300."
        assert page.locator("#content tbody tr").count() == 100


def test_a_document_that_is_opened_alone_is_as_far_from_ours(site: Life, open_page: Open) -> None:
    page = open_page(f"{site.url}/runs/{site.run_id}").page
    page.context.add_cookies([{"name": "secret", "value": "1", "url": site.url}])
    page.goto(f"{site.url}/api/v1/runs/{site.run_id}/artifacts/reports/report.html?show=true")
    expect(page.locator("#seen")).to_have_text("ran SecurityError seen SecurityError")  # its parent is itself
    assert page.evaluate("self.origin") == "null"


def test_a_document_reaches_no_server(site: Life, open_page: Open) -> None:
    """Neither ours with the visitor's cookies nor another: no request, no form, no page around it."""
    script = """<p id="told">nothing</p><script>
    const tell = (what) => { document.getElementById("told").textContent = what; };
    fetch("/api/v1/runs").then(() => tell("reached"), () => tell("refused"));
    new Image().src = "/api/v1/runs";
    try { top.location = "/settings"; } catch (error) {}
    </script>"""
    holder = open_page(f"{site.url}/runs/{site.run_id}").page
    run = holder.request.post(f"{site.url}/api/v1/runs", data={"name": "hostile"}).json()["run_id"]
    held = holder.request.put(f"{site.url}/api/v1/runs/{run}/artifacts/evil.html", data=script.encode())
    assert held.ok
    answered: list[str] = []
    page = open_page(f"{site.url}/runs/{run}").page
    page.on("response", lambda answer: answered.append(answer.url))
    page.goto(f"{site.url}/runs/{run}/artifacts/evil.html")
    expect(page.frame_locator("iframe").locator("#told")).to_have_text("refused")
    assert f"{site.url}/api/v1/runs" not in answered
    assert page.url == f"{site.url}/runs/{run}/artifacts/evil.html"


def test_a_drawing_runs_no_script(site: Life, open_page: Open) -> None:
    drawing = (
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>document.documentElement.id = "ran"</script>'
        b'<rect id="still" width="9" height="9" onload="this.id = \'ran\'"/></svg>'
    )
    page = open_page(site.url).page
    run = page.request.post(f"{site.url}/api/v1/runs", data={"name": "drawn"}).json()["run_id"]
    assert page.request.put(f"{site.url}/api/v1/runs/{run}/artifacts/a.svg", data=drawing).ok
    page.goto(f"{site.url}/runs/{run}/artifacts/a.svg")
    assert page.frame_locator("iframe").locator("#still").count() == 1
    page.goto(f"{site.url}/api/v1/runs/{run}/artifacts/a.svg?show=true")
    assert page.locator("#still").count() == 1
    assert page.locator("#ran").count() == 0
