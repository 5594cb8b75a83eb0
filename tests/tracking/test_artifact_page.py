"""The pages of a run's artifacts, and the media on its own page."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.conftest import Http

HTML = {"Accept": "text/html"}
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\2\x80\0\0\1\xe0"


@pytest.fixture
def run(http: Http) -> str:
    return str(http.post("/api/v1/runs", json={"experiment": "e", "name": "seen"}).json()["run_id"])


def put(http: Http, run: str, path: str, data: bytes) -> None:
    answer = http.put(f"/api/v1/runs/{run}/artifacts/{path}", content=data)
    assert answer.status_code == 200, answer.text


def page(http: Http, run: str, path: str = "") -> Any:
    return http.get(f"/runs/{run}/artifacts{path}", headers=HTML)


def told(answer: Any) -> str:
    assert answer.status_code == 200, answer.text
    found = re.search(r'id="answer" data-live>([^<]*)</p>', answer.text)
    assert found is not None
    return found[1].replace("&#39;", "'")


def test_folders_and_files_by_path(http: Http, run: str) -> None:
    for path in ("a b/c?d/1.txt", "a b/2.txt", "z.txt"):
        put(http, run, path.replace("?", "%3F"), b"text")
    root = page(http, run)
    assert told(root) == "3 files, 12 B together."
    assert f'href="/runs/{run}/artifacts/a%20b"' in root.text
    folder = page(http, run, "/a%20b/")
    assert f'href="/runs/{run}/artifacts/a%20b/c%3Fd"' in folder.text
    file = page(http, run, "/a%20b/c%3Fd/1.txt")
    assert told(file) == "All of it: 1 line."
    crumbs = re.findall(r'<li><a href="(/runs/[^"]*/artifacts[^"]*)">', file.text)
    assert crumbs == [f"/runs/{run}/artifacts{rest}" for rest in ("", "/a%20b", "/a%20b/c%3Fd")]
    assert f'href="/api/v1/runs/{run}/artifacts/a%20b/c%3Fd/1.txt" download' in file.text


def test_an_empty_run_teaches(http: Http, run: str) -> None:
    assert told(page(http, run)) == "No file yet."
    assert "log_artifact" in page(http, run).text


def test_a_folder_of_thousands_is_paged_and_filtered(http: Http, run: str) -> None:
    files = [(f"many/part-{at}.txt", b"x") for at in range(2000)]
    names = "[" + ",".join(f'["{path}",1]' for path, _ in files) + "]"
    body = b"HFBUNDLE1\n" + len(names).to_bytes(4, "big") + names.encode() + b"x" * len(files)
    assert http.post(f"/api/v1/runs/{run}/artifact-bundles", content=body).status_code == 200
    third = page(http, run, "/many?page=3")
    assert re.findall(r">(part-[0-9]+).txt</a>", third.text)[:2] == ["part-200", "part-201"]
    assert third.text.count("<") < 6000  # each element has at most two tags
    found = page(http, run, "/many?name=PART-199")
    assert "11 of 2,000" in found.text
    assert "Show the first page" in page(http, run, "/many?page=99").text
    whole = http.get(f"/runs/{run}", headers=HTML)
    assert "many/" in whole.text and "part-1.txt" not in whole.text


@pytest.mark.parametrize(
    ("path", "data", "sentence", "shown"),
    [
        ("i.png", PNG, "640 × 480 pixels.", 'width="640" height="480"'),
        ("broken.png", b"<script>", "Its first bytes do not tell how large it is.", "<img"),
        ("d.svg", b"<svg/>", "The drawing is shown in a frame of its own", 'sandbox=""'),
        ("d.html", b"<p>", "The document is shown in a frame of its own", 'sandbox="allow-scripts"'),
        ("t.py", b"print('<b>')\n", "All of it: 1 line.", "print(&#39;&lt;b&gt;&#39;)"),
        ("long.log", b"line\n" * 100_000, "The first 200 kB of 500 kB: download it for the rest.", "line\nline"),
        ("cut.txt", b"a" * 199_999 + "é".encode(), "The first 200 kB of 200 kB", "a</code>"),
        ("empty.txt", b"", "It is empty.", "<code></code>"),
        ("MLmodel", b"flavors:\n", "All of it: 1 line.", "flavors:"),
        ("j.json", b'{"a":[1.50,{}]}', "Indented for reading.", "&#34;a&#34;: [\n    1.50,"),
        ("nan.json", b'{"a": NaN}', "It is not the JSON of the standard", "NaN"),
        ("deep.json", b"[" * 50_000, "It is not the JSON of the standard", "[[["),
        ("t.json", b'{"columns":["a"],"data":[[1],[null]]}', "Rows 1 to 2 of 2.", '<td class="num">1</td>'),
        ("none.json", b'{"columns":[],"data":[]}', "The table has no columns.", "Download"),
        ("norows.json", b'{"columns":["a"],"data":[]}', "The table has no rows.", "<th"),
        ("t.csv", b"a,b\n1,x\n", "Rows 1 to 1 of 1.", "<td>x</td>"),
        ("t.tsv", b"a\tb\n1\tx\n", "Rows 1 to 1 of 1.", "<td>x</td>"),
        ("odd.csv", b'a\n"' + b"x" * 150_000, "It can't be read as a table", "xxx"),
        ("t.parquet", b"PAR1", "The table can't be read", "Download"),
        ("m.md", b"# <i>head", "All of it: 1 line.", "# &lt;i&gt;head"),
        ("w.bin", bytes(range(256)), "holdfast has no viewer for such a file: download it.", "Download"),
        ("w.txt", b"\xff\0", "holdfast has no viewer for such a file: download it.", "Download"),
        ("s.mp3", b"ID3", "holdfast does not play sound", "Download"),
        ("v.mp4", b"x", "holdfast does not play video", "Download"),
        ("p.pdf", b"%PDF", "holdfast does not show PDF files", "Download"),
    ],
)  # fmt: skip
def test_each_kind_has_its_viewer(
    http: Http, run: str, path: str, data: bytes, sentence: str, shown: str
) -> None:
    put(http, run, path, data)
    answer = page(http, run, f"/{path}")
    assert told(answer).startswith(sentence)
    assert shown in answer.text


def test_rows_and_columns_go_on_by_the_address(http: Http, run: str) -> None:
    head = ",".join(f"c{at}" for at in range(130))
    put(
        http,
        run,
        "wide.csv",
        (head + "\n" + "\n".join(",".join("1" for _ in range(130)) for _ in range(90))).encode(),
    )
    first = page(http, run, "/wide.csv")
    assert told(first) == "Rows 1 to 38, more follow; columns 1 to 60 of 130."
    assert "?row=39&amp;column=1" in first.text and "?row=1&amp;column=61" in first.text
    last = page(http, run, "/wide.csv?row=77&column=121")
    assert told(last) == "Rows 77 to 90 of 90; columns 121 to 130 of 130."
    assert "?row=77&amp;column=61" in last.text
    assert told(page(http, run, "/wide.csv?row=1000")) == "No row stands here."
    assert told(page(http, run, "/wide.csv?column=500")) == "No column stands here."
    for wrong in ("row=0", "row=x", "column=-1", "page=0", "row=99999999999999999999"):
        assert page(http, run, f"/wide.csv?{wrong}").status_code == 400


def test_the_run_s_page_shows_media_and_their_steps(http: Http, run: str) -> None:
    for step in (1, 2):
        put(http, run, f"media/val/a/{step}.png", PNG)
    put(http, run, "figures/roc/0.html", b"<p>")
    put(http, run, "figures/odd/0.json", b"{}")
    put(http, run, "tables/t/0.json", b'{"columns":["a"],"data":[[1],[2],[3],[4],[5],[6]]}')
    text = http.get(f"/runs/{run}?other=1", headers=HTML).text
    assert (
        f'src="/api/v1/runs/{run}/artifacts/media/val/a/2.png" alt="Image val/a at step 2" loading="lazy"'
        in text
    )
    assert 'href="?other=1&amp;media.val%2Fa=1#media-1" rel="prev"' in text
    assert f'src="/api/v1/runs/{run}/artifacts/figures/roc/0.html?show=true"' in text
    assert "5 of 6 rows" in text
    assert "It is not drawn here" in text
    asked = http.get(f"/runs/{run}?media.val/a=1", headers=HTML).text
    assert "Step 1, 1 of 2" in asked
    for at in range(20):
        put(http, run, f"media/more/{at}/0.png", PNG)
    assert "12 of 24 keys are shown" in http.get(f"/runs/{run}", headers=HTML).text


def test_what_is_not_there(http: Http, run: str) -> None:
    put(http, run, "a/b.txt", b"x")
    for path in ("/c", "/a/b.txt/c", "/a/b", "/A"):
        assert page(http, run, path).status_code == 404, path
    assert page(http, "0" * 32).status_code == 404
