"""Matching the names of one source to those of another by rule: underscores, dots, accents and case."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from types import MappingProxyType

# Letters that Unicode does not take apart into a plain one and an accent.
_PLAIN_LETTERS = str.maketrans("øØłŁđĐðÐı", "oOlLdDdDi") | str.maketrans(
    {"æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "þ": "th", "Þ": "TH"}
)

EXACT = "exact"


def _without_accents(name: str) -> str:
    apart = unicodedata.normalize("NFKD", name.translate(_PLAIN_LETTERS))
    return "".join(c for c in apart if not unicodedata.combining(c))


def _without_punctuation(name: str) -> str:
    # Marks stay: in Indic scripts they are vowels, and accents are none of this rule's business.
    return "".join(c for c in unicodedata.normalize("NFC", name) if c.isalnum() or unicodedata.category(c)[0] == "M")


_RULES = MappingProxyType({"accents": _without_accents, "case": str.casefold, "punctuation": _without_punctuation})


def plain(name: str, *, but: str | None = None) -> str:
    """A name without accents, case and punctuation; `but` names one of these that is kept."""
    for rule, change in _RULES.items():
        if rule != but:
            name = change(name)
    return unicodedata.normalize("NFC", name)


def said(rule: str) -> str:
    """A rule in words, after a count: "by id", "exactly", "ignoring case + punctuation"."""
    return {"id": "by id", EXACT: "exactly"}.get(rule, f"ignoring {rule}")


class Matcher:
    """Find the known name, one of `names`, that a spelling stands for."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = set(names)
        self._plain: dict[str, list[str]] = {}
        for name in sorted(self.names):
            self._plain.setdefault(plain(name), []).append(name)

    def find(self, spelling: str) -> tuple[list[str], str]:
        """Known names that `spelling` may stand for, and by which rule.

        Returns
        -------
        names : list of str, one where it is clear, none where it is unknown, several where it is ambiguous
        rule : str, "exact", or which differences were ignored: "accents", "case", "punctuation", joined by " + "
        """
        if spelling in self.names:
            return [spelling], EXACT
        key = plain(spelling)
        found = self._plain.get(key, []) if key else []
        if len(found) != 1:
            return found, ""
        needed = [rule for rule in _RULES if plain(spelling, but=rule) != plain(found[0], but=rule)]
        return found, " + ".join(needed) or "Unicode form"
