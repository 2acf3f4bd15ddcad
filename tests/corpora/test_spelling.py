import unicodedata

import pytest

from s2f.corpora import spelling


@pytest.mark.parametrize(
    ("known", "name", "rule"),
    [
        ("Ann_Low", "Ann_Low", "exact"),
        ("A.J._Buckley", "AJ Buckley", "punctuation"),
        ("Zoë_Kravitz", "Zoe_Kravitz", "accents"),
        ("Zoe_Kravitz", "Zoë_Kravitz", "accents"),
        ("Lars_Sørensen", "Lars_Sorensen", "accents"),
        ("Björk_Guðmundsdóttir", "Bjork_Gudmundsdottir", "accents"),
        ("İnan_Işık", "Inan_Isik", "accents"),
        ("Ann_Low", "ann_LOW", "case"),
        ("Þór_Ðal", "þór_ðal", "case"),
        ("Ægir_Œuvre", "ægir_œuvre", "case"),
        ("Peter_Weiß", "Peter_WEISS", "case"),
        ("Élodie_Y._Le-Bec", "elodie y le bec", "accents + case + punctuation"),
        ("Élodie", "Elodie ", "accents + punctuation"),
        ("Zoë", unicodedata.normalize("NFD", "Zoë"), "Unicode form"),
        (unicodedata.normalize("NFD", "Zoë"), "Zoë", "Unicode form"),
        ("Zoë_Low", unicodedata.normalize("NFD", "Zoë Low"), "punctuation"),
        ("王菲", "王 菲", "punctuation"),
    ],
)
def test_which_differences_were_ignored(known, name, rule):
    matcher = spelling.Matcher([known, "Somebody_Else"])
    assert matcher.find(name) == ([known], rule)


@pytest.mark.parametrize("name", ["", "_", "Nobody", "Ann", "Ann_Lower", "رام", "राम"])
def test_unknown_names(name):
    # The last name differs from रमा in vowel signs alone, which are no accents.
    assert spelling.Matcher(["Ann_Low", "___", "रमा"]).find(name) == ([], "")


def test_a_spelling_of_several_names_is_ambiguous_unless_exact():
    matcher = spelling.Matcher(["Jose_Perez", "José_Pérez", "Ann"])
    assert matcher.find("jose perez") == (["Jose_Perez", "José_Pérez"], "")
    assert matcher.find("José_Pérez") == (["José_Pérez"], "exact")


@pytest.mark.parametrize("text", ["Élodie_O'Neil", "İnan_Işık", "Þór ß", "Straße_ﬁn", "Ω_Å"])
def test_plain_does_not_depend_on_the_spelling_and_is_stable(text):
    plain = spelling.plain(text)
    assert plain and spelling.plain(plain) == plain
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert spelling.plain(unicodedata.normalize(form, text)) == plain


@pytest.mark.parametrize(
    ("but", "kept"),
    [(None, "elodieoneil"), ("accents", "élodieoneil"), ("case", "ElodieONeil"), ("punctuation", "elodie_o'neil")],
)
def test_one_difference_can_be_kept(but, kept):
    assert spelling.plain(unicodedata.normalize("NFD", "Élodie_O'Neil"), but=but) == kept
