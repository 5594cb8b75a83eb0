"""Comments, activity and the inbox over HTTP: JSON and forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.web.visitor import Visitor

if TYPE_CHECKING:
    from holdfast.app.compose import Composition

API = "/api/v1"
HTML = {"Accept": "text/html"}


@pytest.fixture
def admin(composition: Composition) -> dict[str, str]:
    return {"Authorization": f"Bearer {(composition.settings.data / 'admin.token').read_text().strip()}"}


def test_from_comment_to_inbox(http: Any, run: str, follow: Callable[[], int], admin: dict[str, str]) -> None:
    made = http.post(f"{API}/comments", json={"object": run, "body": "@administrator, is this right?"}).json()
    assert made["mentions"] == {"administrator": "admin"}
    reply = {"object": run, "body": "It is.", "parent_id": made["comment_id"]}
    assert http.post(f"{API}/comments", json=reply, headers=admin).status_code == 200
    follow()
    assert http.get(f"{API}/inbox/count").json() == {"unread": 1}
    (answer,) = http.get(f"{API}/inbox?state=unread").json()["items"]
    (mention,) = http.get(f"{API}/inbox", headers=admin).json()["items"]
    assert (answer["kind"], mention["kind"]) == ("reply", "mention")
    assert http.post(f"{API}/inbox/read", json={"events": [answer["event"]]}).json() == {
        "marked": 1,
        "unread": 0,
    }
    assert http.post(f"{API}/inbox/read", json={"events": None}, headers=admin).json() == {
        "marked": 1,
        "unread": 0,
    }
    (thread,) = http.get(f"{API}/comments", params={"object": run}).json()["items"]
    assert thread["replies"][0]["body"] == "It is."
    (line, _) = http.get(f"{API}/activity").json()["items"][:2]
    assert line["sentence"].startswith("administrator answered")


def test_edit_history_and_deletion(http: Any, run: str) -> None:
    one = f"{API}/comments/{http.post(f'{API}/comments', json={'object': run, 'body': 'a'}).json()['comment_id']}"
    assert http.put(one, json={"body": "b"}).json()["body"] == "b"
    assert [item["body"] for item in http.get(f"{one}/history").json()["items"]] == ["a", "b"]
    assert http.delete(one).json()["deleted_by"] == "open mode"
    assert http.get(one).json()["body"] == ""


def test_subscriptions(http: Any, run: str) -> None:
    assert http.put(f"{API}/subscriptions/{run}").json()["object"] == run
    assert [item["object"] for item in http.get(f"{API}/subscriptions").json()["items"]] == [run]
    assert http.delete(f"{API}/subscriptions/{run}").json() == {}
    assert http.get(f"{API}/subscriptions").json()["items"] == []


@pytest.mark.parametrize(("method", "path", "body", "status"), [
    ("GET", "/comments", None, 400), ("GET", "/comments?object=run:x", None, 404), ("POST", "/comments", {}, 400),
    ("POST", "/comments", {"object": "run:x", "body": "a"}, 404), ("GET", "/comments/c-1", None, 404),
    ("PUT", "/comments/c-1", {"body": "a"}, 404), ("DELETE", "/comments/c-1", None, 404),
    ("GET", "/comments/c-1/history", None, 404),
    ("GET", "/activity?object=run:x", None, 404), ("GET", "/activity?page_token=x", None, 400),
    ("PUT", "/subscriptions/run:x", None, 404),
    ("GET", "/inbox?state=odd", None, 400), ("POST", "/inbox/read", {"events": "all"}, 400),
    ("POST", "/inbox/read", {}, 400),
    ("POST", "/inbox/read", {"events": list(range(1001))}, 400), ("POST", "/inbox/read", {"events": [2**70]}, 400),
])  # fmt: skip
def test_what_is_refused(http: Any, method: str, path: str, body: Any, status: int) -> None:
    answer = http.request(method, API + path, json=body)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["message"]


def test_the_forms_of_the_pages(http: Any, run: str) -> None:
    page, browser = f"/runs/{run[4:]}", Visitor(http)
    sent = browser.send(page, "/comments", object=run, body="**hello**", parent_id="")
    assert sent.status_code == 303
    place, _, anchor = sent.headers["location"].partition("#")
    assert place == page
    shown = browser.open(page).text
    assert "<strong>hello</strong>" in shown
    assert f'id="{anchor}"' in shown
    edited = browser.send(page, f"/comments/{anchor}/edit", body="bye")
    assert edited.headers["location"] == f"{page}#{anchor}"
    assert "hello" in browser.open(f"/comments/{anchor}").text
    browser.send(page, f"/comments/{anchor}/delete")
    assert "Deleted by open mode" in browser.open(page).text
    watched = browser.send(page, "/subscriptions", object=run, watch="")
    assert watched.headers["location"] == f"{page}#discussion"
    assert http.get(f"{API}/subscriptions").json()["items"] == []
    read = browser.send(page, "/inbox/read", event="", state="unread")
    assert read.headers["location"] == "/inbox?state=unread"
    assert browser.send(page, "/inbox/read", event="x").status_code == 400


def test_a_form_of_another_site_is_refused(http: Any, run: str) -> None:
    foreign = {"Origin": "https://evil.example"}
    assert http.post("/comments", data={"object": run, "body": "x"}, headers=foreign).status_code == 403
    assert http.get(f"{API}/comments", params={"object": run}).json()["items"] == []


def test_a_form_that_is_none_is_refused(http: Any) -> None:
    wrong = http.post("/comments", json={"object": "x"})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "invalid_input")
    broken = http.post(
        "/comments", content=b"a&%ff", headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert broken.status_code == 400


def test_payloads_stay_text_on_every_page(
    http: Any, run: str, follow: Callable[[], int], admin: dict[str, str]
) -> None:
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)> @administrator"
    made = http.post(f"{API}/comments", json={"object": run, "body": evil}).json()
    follow()
    pages = [
        f"/runs/{run[4:]}",
        f"/runs/{run[4:]}?feed=comments",
        "/activity",
        "/inbox",
        f"/comments/{made['comment_id']}",
    ]
    for path in pages:
        text = http.get(path, headers={**HTML, **admin}).text
        assert "<script>alert" not in text, path
        assert "<img src=x" not in text, path
        assert "alert(1)" in text, path
