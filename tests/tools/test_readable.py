"""Readable text of pages, also of pages made to deceive or to keep us busy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.tools.readable import readable

LONG = "This sentence is long enough to be taken for what the page is about, told twice. " * 3


def test_the_main_part_of_a_page() -> None:
    page = f"""<!DOCTYPE html><html><head><title> Tea &amp; <b>cake </title><style>p > a {{}}</style>
    <script>document.write("<p>never</p>")</script></head><body><nav>Home <a href=/>About</a></nav>
    <main><header><h1>Tea</h1></header><p>{LONG}<p>Second <em>part</em>&nbsp;here.
    <ul><li>green<li>black</ul><pre>x = 1
      y = 2</pre><table><tr><th>Kind<th>Price<tr><td>Green<td>3&euro;</table><aside>Buy now</aside></main>
    <footer>Imprint</footer></body></html>"""
    found = readable(page)
    assert found.title == "Tea & <b>cake"
    assert found.text.splitlines() == [
        "# Tea", LONG.strip(), "Second part here.", "- green", "- black", "x = 1", "      y = 2",
        "Kind | Price", "Green | 3€",
    ]  # fmt: skip


def test_a_page_without_a_main_part_and_one_whose_menu_never_ends() -> None:
    assert readable(f"<div>a</div><nav>menu</nav><p>{LONG}").text == f"a\n{LONG.strip()}"
    assert LONG.strip() in readable(f"<nav>menu<p>{LONG}").text
    assert readable("just text").text == "just text"
    assert readable("").text == ""


@pytest.mark.parametrize(
    "hidden",
    [
        "<p hidden>SECRET</p>", '<p style="display: none">SECRET', "<span aria-hidden=true>SECRET</span>",
        "<div style='visibility:hidden'><p>SECRET</p></div>", "<!-- SECRET -->",
        "<template>SECRET</template>",
        "<i style=font-size:0>SECRET</i>", "<noscript>SECRET</noscript>", '<img alt="SECRET">',
        "<p hidden><b>SECRET<p>", "<script>SECRET",
    ],
)  # fmt: skip
def test_what_nobody_sees_is_left_out(hidden: str) -> None:
    text = readable(f"<p>{LONG}</p><p>before {hidden}").text
    assert "SECRET" not in text
    assert "before" in text
    assert readable("a\u200bb\u202ec\U000e0041d").text == "abcd"


def test_a_hidden_word_does_not_tear_its_sentence() -> None:
    assert readable('<p>one <span class="hidden-x" hidden>x</span> two').text == "one two"
    assert readable('<p>one <span class="hidden-x">x</span> two').text == "one x two"


def test_attributes_with_angle_brackets() -> None:
    assert readable("<p class=\"[&>p]:mt-2\" title='a > b'>text</p>").text == "text"
    assert readable('<p title=5">quoted</p>').text == "quoted"
    assert readable("1 < 2 and 3 <4").text.startswith("1 < 2")


def test_numbers_that_are_no_characters() -> None:
    assert readable(f"&#{'9' * 5000};&#x{'f' * 5000};&#55296;&#0;x").text.endswith("x")


@given(st.text(max_size=400))
def test_any_text_is_a_page(page: str) -> None:
    readable(page)


tags = st.sampled_from(
    ["<p>", "</p>", "<main>", "</main>", "<nav>", "</nav>", "<div hidden>", "</div>", "<li>", "<td>", "<",
     ">",
     "<!--", "-->", "<script>", "</script>", "<pre>", "<h1>", "&#x41;", "text ", "<a title='", "'>", "\n"]
)  # fmt: skip


@given(st.lists(tags, max_size=60).map("".join))
def test_any_markup_is_a_page(page: str) -> None:
    readable(page)


@pytest.mark.parametrize(
    "piece",
    ["<!--", "<![", "<a ", '<a title="', "<p>", "<td>", "<td> ", "</x", "<script>", "<", "&#",
     "<div hidden>",
     "<nav></nav>", "hidden =", "<b>", "<title>", "<p x=' ", "<pre>\n", "<li>x", "display :"],
)  # fmt: skip
def test_the_time_grows_with_the_length_alone(piece: str) -> None:
    # Were it quadratic, this would take hours and the test's time limit would end it.
    readable(piece * (1_000_000 // len(piece)))
