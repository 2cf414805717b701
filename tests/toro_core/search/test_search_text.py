from unicodedata import combining, normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toro_core.search.text import fold


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("  Van \t der\nBerg ", "van der berg"),
        ("Müller", "muller"),
        ("STRAẞE", "strasse"),
        ("Straße", "strasse"),
        ("İzmir", "izmir"),
        ("Ångström", "angstrom"),
        ("\uff26\uff55ll", "full"),
        ("ﬁn", "fin"),
        ("Ελλάς", "ελλασ"),
        ("Nguyễn", "nguyen"),
        ("O\u2019Neil", "o\u2019neil"),
        ("张伟", "张伟"),
        ("a\u00a0b", "a b"),
    ],
)
def test_case_accents_and_spacing_do_not_matter(text: str, folded: str) -> None:
    assert fold(text) == folded


@given(st.text())
def test_folding_twice_changes_nothing_more(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.text())
def test_the_normal_form_of_the_input_does_not_matter(text: str) -> None:
    assert len({fold(normalize(form, text)) for form in ("NFC", "NFD", "NFKC", "NFKD")}) == 1


@given(st.text())
def test_no_accent_and_no_outer_space_is_left(text: str) -> None:
    folded = fold(text)
    assert not any(combining(letter) for letter in folded)
    assert folded == folded.strip()


@given(st.text(st.characters(codec="ascii")), st.text(st.characters(codec="ascii")))
def test_a_word_finds_what_begins_with_it(start: str, rest: str) -> None:
    assert fold(start + rest).startswith(fold(start.rstrip())) or not start.strip()


@given(st.text())
def test_letters_are_folded_by_themselves_as_they_are_together(text: str) -> None:
    whole = text
    for _ in range(3):
        whole = "".join(letter for letter in normalize("NFKD", whole) if not combining(letter)).casefold()
    assert fold(text) == " ".join(whole.split())
