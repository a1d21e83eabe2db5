"""The star of a pattern: tables for people, and laws against the plain definition."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from aiqms.policy.patterns import image_matches, matches, uri_matches

CASES = {
    "the same text": ("registry.bank.example/vllm", "registry.bank.example/vllm", True),
    "a dot is a dot": ("registry.bank.example/vllm", "registryXbank.example/vllm", False),
    "nothing else is special": ("a?[b]+", "a?[b]+", True),
    "a question mark is no wildcard": ("a?", "ab", False),
    "the whole text counts, from its start": ("bank.example/*", "evil.bank.example/vllm", False),
    "and to its end": ("*/vllm", "bank.example/vllm-evil", False),
    "a star is also slashes": ("bank.example/*", "bank.example/team/a/vllm", True),
    "a star is also nothing": ("bank.example/*", "bank.example/", True),
    "a star does not swallow what comes before it": ("bank.example/*", "bank.example", False),
    "two stars in a row are one": ("a**b", "ab", True),
    "what is before and behind a star does not overlap": ("aba*ba", "aba", False),
    "parts stand in order": ("*x*y*", "yx", False),
    "what two parts match does not overlap": ("*a*a*", "a", False),
    "an inner part does not reach into the last": ("*ab*b", "ab", False),
    "a star alone is everything": ("*", "", True),
}


@pytest.mark.parametrize(("pattern", "text", "is_so"), CASES.values(), ids=CASES)
def test_a_text_is_of_a_form(pattern: str, text: str, is_so: bool) -> None:
    assert matches(pattern, text) is is_so


URIS = {
    "a path": ("oci://bank.example/*", "oci://bank.example/models/llm", True),
    "a path of several folders": ("oci://bank.example/*/llm", "oci://bank.example/a/b/llm", True),
    "a part of a host's name": ("https://*.bank.example/x", "https://models.bank.example/x", True),
    "several parts of it": ("https://*.bank.example/x", "https://a.b.bank.example/x", True),
    "another host with that name as a folder": ("https://*.bank.example/x", "https://evil.example/.bank.example/x", False),
    "and behind a question mark": ("https://*.bank.example/x", "https://evil.example?.bank.example/x", False),
    "and behind a hash": ("https://*.bank.example/x", "https://evil.example#.bank.example/x", False),
    "and behind a backslash": ("https://*.bank.example/x", "https://evil.example\\.bank.example/x", False),
    "a user that looks like the host": ("https://registry.bank.example*", "https://registry.bank.example@evil.example", False),
    "a user and a path": ("https://registry.bank.example*/m", "https://registry.bank.example@evil.example/m", False),
    "a user, where any host may be": ("https://*/m", "https://user@bank.example/m", False),
    "a user, where anything may be": ("*", "https://user@bank.example/m", False),
    "a user, though the pattern has it": ("https://user@bank.example/m", "https://user@bank.example/m", False),
    "a sign that is written in another way": ("*", "https://bank.example%40evil.example/m", False),
    "other letters": ("https://bank.example/*", "https://BANK.example/m", False),
    "another scheme": ("https://bank.example/*", "http://bank.example/m", False),
    "another port": ("https://bank.example/*", "https://bank.example:8443/m", False),
    "any port": ("https://bank.example:*/m", "https://bank.example:8443/m", True),
    "a star is no port": ("https://bank.example*/m", "https://bank.example:8443/m", False),
    "a host of which the other one is the beginning": ("https://bank.example/*", "https://bank.example.evil.example/m", False),
    "a host that ends in a star is no path": ("https://bank.*", "https://bank.example/m", False),
    "any scheme": ("*://bank.example/m", "oci://bank.example/m", True),
    "the scheme behind another host": ("*://bank.example/m", "https://evil.example/oci://bank.example/m", False),
    "a folder that looks like the rest": ("*//bank.example/m", "https://evil.example//bank.example/m", False),
    "an address": ("https://[fd00::1]:443/*", "https://[fd00::1]:443/m", True),
    "one slash, which browsers take for two": ("https://*/m", "https:/evil.example/m", False),
    "no host at all": ("hf:meta/*", "hf:meta/llm", True),
    "no host, and another folder": ("hf:meta*", "hf:meta/llm", False),
    "the whole disk": ("file:///models/*", "file:///models/llm", True),
    "what is no URI": ("*", "bank.example/m", False),
    "a star alone is everything": ("*", "https://bank.example/m?v=1#x", True),
}


@pytest.mark.parametrize(("pattern", "uri", "is_so"), URIS.values(), ids=URIS)
def test_a_uri_is_of_a_form(pattern: str, uri: str, is_so: bool) -> None:
    assert uri_matches(pattern, uri) is is_so


IMAGES = {
    "an image": ("bank.example/*", "bank.example/team/vllm:v1", True),
    "a part of a registry's name": ("*.bank.example/vllm", "eu.bank.example/vllm", True),
    "another registry with that name as a folder": ("*.bank.example/vllm", "evil.example/.bank.example/vllm", False),
    "any registry, and no folder": ("*/vllm", "evil.example/team/vllm", False),
    "a registry that ends in a star is no path": ("bank.example*", "bank.example.evil.example/vllm", False),
    "a star is no port": ("bank.example*/vllm", "bank.example:5000/vllm", False),
    "a user that looks like the registry": ("bank.example*/vllm", "bank.example@evil.example/vllm", False),
    "a digest that is none": ("bank.example/vllm*", "bank.example/vllm@evil.example/vllm", False),
    "folders that lead out": ("bank.example/models/*", "bank.example/models/../vllm", False),
    "a star alone is everything": ("*", "bank.example/vllm", True),
}


@pytest.mark.parametrize(("pattern", "reference", "is_so"), IMAGES.values(), ids=IMAGES)
def test_an_image_is_of_a_form(pattern: str, reference: str, is_so: bool) -> None:
    assert image_matches(pattern, reference) is is_so


PIECES = ["https://", "oci://", "bank.example", ".bank.example", "evil.example", "a", "*", "/", "//", "@", ":", ":5000", "?", "#", "\\", "%2f", "..", "[", "]"]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)


@for_all(TEXTS, TEXTS)
def test_a_host_that_a_pattern_does_not_name_never_matches(path: str, text: str) -> None:
    for uri in (text, f"https://{text}", f"https://bank.example{text}"):
        if uri_matches(f"https://bank.example/{path}", uri):
            assert (urlsplit(uri).scheme, urlsplit(uri).netloc) == ("https", "bank.example")
    for reference in (text, f"bank.example{text}"):
        if image_matches(f"bank.example/{path}", reference):
            assert reference.startswith("bank.example/")


@for_all(st.lists(st.sampled_from(["*", ".", "a", "bank.example"]), min_size=1, max_size=5).map("".join), TEXTS, TEXTS)
def test_a_star_in_a_host_is_a_part_of_its_name(host: str, path: str, text: str) -> None:
    for uri in (f"https://{text}", f"https://bank.example{text}"):
        if uri_matches(f"https://{host}/{path}", uri):
            assert matches(host, urlsplit(uri).netloc)
            assert not set("@:/\\?#") & set(urlsplit(uri).netloc)


def defined(pattern: str, text: str) -> bool:
    """What a pattern means, as it is defined: a star is nothing, or a character and the same star."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return defined(pattern[1:], text) or (bool(text) and defined(pattern, text[1:]))
    return bool(text) and text[0] == pattern[0] and defined(pattern[1:], text[1:])


@for_all(st.text("ab*", max_size=6), st.text("ab", max_size=8))
def test_it_is_what_is_defined(pattern: str, text: str) -> None:
    assert matches(pattern, text) == defined(pattern, text)


@for_all(st.lists(st.text("ab/.:@*"), min_size=1), st.text("ab/.:@"), st.data())
def test_whatever_stands_for_the_stars_matches(parts: list[str], between: str, data: st.DataObject) -> None:
    fixed = [p.replace("*", "") for p in parts]
    text = fixed[0] + "".join(data.draw(st.sampled_from(["", between])) + p for p in fixed[1:])
    assert matches("*".join(fixed), text)


def test_no_pattern_takes_long() -> None:
    """A regular expression of so many stars would not end in a lifetime: patterns as long as the schema takes, and a megabyte without one of their parts."""
    began = time.process_time()
    assert not matches("*a" * 254 + "*c*b", "a" * 1_000_000 + "b")
    assert not matches("*" + "a" * 509 + "b*", "a" * 1_000_000)
    assert not uri_matches("https://" + "*a" * 254, "https://" + "a" * 1_000_000 + "b/")
    assert not image_matches("*a" * 254, "a." * 500_000 + "/" + "a-" * 500_000)
    assert time.process_time() - began < 2
