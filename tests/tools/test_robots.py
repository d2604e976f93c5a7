"""What robots.txt allows: the examples of RFC 9309, and files meant to harm."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.tools.robots import Robots, Rule, read_robots

RFC = """
User-Agent: *
Disallow: *.gif$
Disallow: /example/
Allow: /publications/

User-Agent: foobot
Disallow:/
Allow:/example/page.html
Allow:/example/allowed.gif

User-Agent: barbot
User-Agent: bazbot
Disallow: /example/page.html

User-Agent: quxbot
"""


@pytest.mark.parametrize(
    ("product", "path", "allowed"),
    [
        ("foobot", "/example/page.html", True),
        ("foobot", "/example/other", False),
        ("FooBot", "/example/allowed.gif", True),
        ("barbot", "/example/page.html", False),
        ("bazbot", "/example/page.html", False),
        ("bazbot", "/x.gif", True),
        ("quxbot", "/example/", True),
        ("zoran_ray", "/x.gif", False),
        ("zoran_ray", "/x.gif?y", True),
        ("zoran_ray", "/example/page.html", False),
        ("zoran_ray", "/publications/x", True),
        ("zoran_ray", "/robots.txt", True),
    ],
)
def test_the_example_of_the_rfc(product: str, path: str, allowed: bool) -> None:
    assert read_robots(RFC, product).allows(path) is allowed


@pytest.mark.parametrize(
    ("rules", "path", "allowed"),
    [
        ("Disallow: /a\nAllow: /a/b", "/a/b/c", True),
        ("Allow: /p\nDisallow: /", "/page", True),
        ("Allow: /x\nDisallow: /x", "/x", True),
        ("Disallow: /*?session=", "/a?session=1", False),
        ("Disallow: /a%3cd.html", "/a%3Cd.html", False),
        ("Disallow: /%7ejoe/", "/~joe/index", False),
        ("Disallow: /caf\u00e9", "/caf%C3%A9", False),
        ("Disallow: /fish*", "/fish.html", False),
        ("Disallow: /*.php$", "/index.php?x", True),
        ("Disallow: /a*a$", "/a", True),
        ("Disallow: /a*a$", "/aa", False),
        ("Disallow:", "/", True),
        ("Disallow: / # all of it", "/", False),
        ("Disallow: $", "/", True),
        ("Noindex: /\nCrawl-delay: 9", "/", True),
    ],
)
def test_rules(rules: str, path: str, allowed: bool) -> None:
    assert read_robots(f"User-agent: *\n{rules}", "zoran_ray").allows(path) is allowed


def test_groups_of_one_name_are_joined_and_line_ends_do_not_matter() -> None:
    text = "\ufeffuser-agent: zoran_ray\r\ndisallow: /a\r\ruser-agent: x\nallow: /\n"
    text += "USER-AGENT: Zoran_Ray/2\nDisallow: /b"
    robots = read_robots(text, "zoran_ray")
    assert [robots.allows(path) for path in ("/a", "/b", "/c")] == [False, False, True]


@given(st.text(alphabet="ab*$/", max_size=12), st.text(alphabet="ab/", max_size=12))
def test_a_pattern_fits_as_its_regular_expression_would(pattern: str, path: str) -> None:
    import re

    ends = pattern.endswith("$")
    source = ".*".join(map(re.escape, pattern.removesuffix("$").split("*")))
    assert Rule(True, pattern).fits(path) is bool(re.match(source + (r"\Z" if ends else ""), path))


@given(st.text(max_size=300))
def test_any_text_can_be_read(text: str) -> None:
    read_robots(text, "zoran_ray").allows("/x")
    read_robots(f"user-agent: *\nDisallow: {text}", "zoran_ray").allows("/x")


def test_a_line_made_to_keep_us_busy_does_not() -> None:
    # A regular expression would take years; the test's time limit would end it.
    rule = Rule(False, "/" + "*a" * 100_000 + "b")
    assert not rule.fits("/" + "a" * 2000)
    assert Robots((rule,)).allows("/" + "a" * 2000)
