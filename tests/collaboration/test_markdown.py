"""Comments as HTML: what is safe, what is a mention."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.collaboration.markdown import MOST_MENTIONS, mentioned_names, render_markdown

_TAGS = {
    "p", "strong", "em", "s", "code", "pre", "a", "ul", "ol", "li", "blockquote", "hr", "br", "span",
    "table", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip
_ATTRIBUTES = {
    ("a", "href"), ("a", "title"), ("a", "rel"), ("span", "class"), ("code", "class"), ("ol", "start"),
    ("th", "class"), ("td", "class"),
}  # fmt: skip

PAYLOADS = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<svg onload=alert(1)>", "<svg/onload=alert(1)//",
    "<iframe srcdoc='<script>alert(1)</script>'>", "<math><mi xlink:href='data:x,<script>alert(1)</script>'>",
    "<details open ontoggle=alert(1)>", "<body onload=alert(1)>", "<a href='javascript:alert(1)'>x</a>",
    "<style>@import 'http://evil.example/x.css'</style>", "<base href='http://evil.example/'>", "<!--<img src=x>-->",
    "<form action=http://evil.example><button>x</button></form>", "<meta http-equiv=refresh content='0;http://evil'>",
    "<![CDATA[<script>alert(1)</script>]]>", "<?xml version='1.0'?><script>alert(1)</script>",
    "<x onclick=alert(1)>x",
    "[x](javascript:alert(1))", "[x](JaVaScRiPt:alert(1))", "[x](java\nscript:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](&#106;avascript:alert(1))", "[x](&#x6A;avascript:alert(1))", "[x](javascript&colon;alert(1))",
    "[x](javascript&#58;alert(1))", "[x]( javascript:alert(1))", "[x](<javascript:alert(1)>)",
    "[x](\x01javascript:alert(1))",
    "[x](<java&Tab;script:alert(1)>)", "[x](<java&NewLine;script:alert(1)>)", "[x](vbscript:msgbox(1))",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[x](data:image/svg+xml,<svg onload=alert(1)>)",
    "[x](data:image/png;base64,AAAA)", "[x](file:///etc/passwd)", "[x](ftp://evil.example)",
    "[x](mailto:a@evil.example)",
    "[x](//evil.example)", "[x](/\\evil.example)", "[x](\\\\evil.example)", "[x](/%09/evil.example)",
    "[x](https:evil.example)",
    "[x](http:/\\evil.example)", "[x](https:///evil.example)", "[x](blob:http://evil.example)", "[x](view-source:x)",
    "[x](:javascript:x)",
    "[a]: javascript:alert(1)\n\n[a]", "[a][b]\n\n[b]: <javascript:alert(1)>", "<javascript:alert(1)>",
    "<data:text/html,x>",
    "<https://good.example/\"onmouseover=alert(1)>", "[x](https://good.example/\"onmouseover=\"alert(1))",
    "[x](https://good.example 'title\" onmouseover=\"alert(1)')",
    "[x](https://good.example \"<img src=x onerror=alert(1)>\")",
    "![x](http://evil.example/pixel.png)", "![x](data:image/png;base64,AAAA)",
    "![x][a]\n\n[a]: http://evil.example/pixel.png",
    "[![x](http://evil.example/p.png)](https://good.example)", "![x](javascript:alert(1))",
    "`<script>alert(1)</script>`",
    "```\"><script>alert(1)</script>\nx\n```", "```js onload=alert(1)\nx\n```", "~~~<img src=x>\nx\n~~~",
    "    <script>alert(1)</script>",
    "| a<script> |\n|---|\n| <img src=x onerror=alert(1)> |", "# <script>alert(1)</script>",
    "> <script>alert(1)</script>",
    "\"><script>alert(1)</script>", "';alert(1)//", "</textarea><script>alert(1)</script>",
    "</article><script>alert(1)</script>",
    "&lt;script&gt;alert(1)&lt;/script&gt;", "&#60;script&#62;alert(1)&#60;/script&#62;",
    "\\<script>alert(1)</script>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>", "<<script>alert(1)//<</script>", "\u2028<script>alert(1)</script>",
    "{{ 7*7 }}{% raw %}", "@<script>alert(1)</script>", "@ada\"><img src=x onerror=alert(1)>",
    "[@ada](javascript:alert(1))",
    "<img/src='x'/onerror=alert`1`>", "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "[x](https://good.example/?q=</script><script>alert(1)</script>)", "[x](#\"><script>alert(1)</script>)",
    "- <b onclick=alert(1)>x",
]  # fmt: skip


class Reader(HTMLParser):
    """Every element and attribute of some HTML."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(f"a declaration: {decl}")

    def handle_pi(self, data: str) -> None:
        raise AssertionError(f"an instruction: {data}")


def check_safe(html: str) -> None:
    for tag, attributes in Reader(html).found:
        assert tag in _TAGS, html
        for name, value in attributes.items():
            assert (tag, name) in _ATTRIBUTES, html
            if name == "href":
                assert value is not None
                address = value.strip().lower()
                is_own = (
                    not address.startswith(("//", "/\\", "\\"))
                    and ":" not in address.split("/")[0].split("?")[0].split("#")[0]
                )
                assert address.startswith(("http://", "https://")) or is_own, html
                assert "noopener" in (attributes["rel"] or "")
            if name == "class" and tag in ("th", "td"):
                assert value == "num"


@pytest.mark.parametrize("payload", PAYLOADS)
def test_nothing_that_acts_comes_through(payload: str) -> None:
    for body in (
        payload,
        f"text {payload} text",
        f"> - {payload}",
        f"**{payload}**",
        f"[a {payload} b](https://x.example)",
    ):
        check_safe(render_markdown(body, {"ada"}))


@given(st.text(st.sampled_from("<>\"'`[]()!@#&;:/\\*_~|-= \n\tadajvscriptonerHTTP&#x6A;01"), max_size=120))
def test_no_text_makes_anything_that_acts(body: str) -> None:
    check_safe(render_markdown(body, {"ada", "da"}))


@pytest.mark.parametrize("target", [
    "https://example.org/a?b=c#d", "HTTP://example.org", "/models/flights/3", "?feed=comments", "#c-1", "runs/1",
    "../audit/5",
])  # fmt: skip
def test_links_to_the_web_and_to_own_pages_stay(target: str) -> None:
    html = render_markdown(f"[here]({target})")
    assert f'<a href="{target}" rel="noopener nofollow">here</a>' in html


def test_what_markdown_gives() -> None:
    assert "<strong>bold</strong>" in render_markdown("**bold**")
    table = render_markdown("| a | b |\n|---|--:|\n| 1 | 2 |")
    assert '<td>1</td>\n<td class="num">2</td>' in table
    assert render_markdown("# Title") == "<p><strong>Title</strong></p>\n"
    assert "<s>no</s>" in render_markdown("~~no~~")
    assert render_markdown("<b>") == "<p>&lt;b&gt;</p>\n"


@pytest.mark.parametrize(("body", "names"), [
    ("@ada look", ["ada"]), ("see @ada, @grace-h and @ada.", ["ada", "grace-h"]), ("(@ada)", ["ada"]),
    ("mail a@ada.org", []),
    ("`@ada`", []), ("```\n@ada\n```", []), ("    @ada", []), ("[@ada](https://x.example)", []), ("@@ada", []),
    ("@", []), ("@-", []),
    ("**@ada**", ["ada"]), ("@a.b.c.", ["a.b.c"]), ("> @ada", ["ada"]), ("@Ünal", ["Ünal"]), ("x/@ada", []),
    ("@ada@grace", ["ada"]),
])  # fmt: skip
def test_names_after_an_at(body: str, names: list[str]) -> None:
    assert mentioned_names(body) == names


def test_only_known_names_are_marked() -> None:
    html = render_markdown("@ada and @eve, `@ada`", {"ada"})
    assert html == '<p><span class="mention">@ada</span> and @eve, <code>@ada</code></p>\n'


def test_at_most_twenty_names_are_looked_up() -> None:
    assert len(mentioned_names(" ".join(f"@name{n}" for n in range(100)))) == MOST_MENTIONS


@pytest.mark.parametrize("body", [
    "[" * 19_000, "*a " * 6_000, "> " * 9_000, "`" * 19_999, "![[" * 6_000, "<" * 19_999, "a](" * 6_000, "@a" * 9_000,
    "|" * 19_000, "|a\n|-\n" + "|b\n" * 4_000, "[a]: x\n" * 2_500, "**" * 9_000 + "x", "- " * 9_000, "_a__b_" * 3_000,
    "&" * 19_000,
])  # fmt: skip
def test_a_hostile_text_is_rendered(body: str) -> None:
    check_safe(render_markdown(body))
