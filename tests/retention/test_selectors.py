"""What may be known of Loki's selectors without running a regular expression that somebody else wrote."""

from __future__ import annotations

import pytest

from aiqms.retention.selectors import Fit, Matcher, fits, parse, shown

PARSED: dict[str, tuple[Matcher, ...] | None] = {
    '{app="a"}': (Matcher("app", "=", "a"),),
    ' { app = "a" , team =~ `x|y`, } ': (Matcher("app", "=", "a"), Matcher("team", "=~", "x|y")),
    '{a!="b",c!~"d"}': (Matcher("a", "!=", "b"), Matcher("c", "!~", "d")),
    r'{a="q\"}, b=\\"}': (Matcher("a", "=", 'q"}, b=\\'),),
    '{a="b"} | json': None,
    '{a="b"} # }': None,
    '{a="b" c="d"}': None,
    r'{a="\n"}': None,
    "{a=b}": None,
    "{}": None,
    "": None,
    "}{": None,
}


@pytest.mark.parametrize(("text", "selector"), PARSED.items(), ids=[text or "nothing" for text in PARSED])
def test_only_a_plain_selector_is_read(text: str, selector: tuple[Matcher, ...] | None) -> None:
    assert parse(text) == selector


@pytest.mark.parametrize("text", [text for text, selector in PARSED.items() if selector])
def test_what_is_shown_is_read_as_the_same(text: str) -> None:
    selector = parse(text)
    assert selector is not None
    assert parse(shown(selector)) == selector


# Of a rule to the sink's selector {app="answers", team="lending"}.
FITS: dict[str, Fit] = {
    '{app="answers"}': Fit.ALWAYS,
    '{app="answers", team="lending"}': Fit.ALWAYS,
    '{app=~"answers|questions"}': Fit.ALWAYS,
    '{app=~".+"}': Fit.ALWAYS,
    '{app!="questions"}': Fit.ALWAYS,
    '{app!~"questions|others"}': Fit.ALWAYS,
    '{app="questions"}': Fit.NEVER,
    '{app=~"answer"}': Fit.NEVER,  # anchored
    '{app!="answers"}': Fit.NEVER,
    '{app!~".*"}': Fit.NEVER,
    '{app=~"ans.*"}': Fit.MAYBE,
    '{app=~"(a+)+$"}': Fit.MAYBE,
    '{pod="answers-0"}': Fit.MAYBE,
    '{pod!="x"}': Fit.MAYBE,
    '{app="answers", pod="x"}': Fit.MAYBE,
    '{app="questions", pod="x"}': Fit.NEVER,
    "no selector": Fit.MAYBE,
}


@pytest.mark.parametrize(("rule", "fit"), FITS.items(), ids=FITS.keys())
def test_a_rule_applies_always_never_or_perhaps(rule: str, fit: Fit) -> None:
    assert fits(parse(rule), parse('{app="answers", team="lending"}')) is fit


def test_to_a_selector_that_cannot_be_read_any_rule_may_apply() -> None:
    assert fits(parse('{app="x"}'), None) is Fit.MAYBE
