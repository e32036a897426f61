"""Numbering, citations and gaps in one shape, so that a clause reads the same wherever it stood.

    12.3(b) Payment. …            ->   Payment. …
    ARTICLE IX: TERM …            ->   TERM …
    17 USC §107, 410 U. S. 113    ->   17 U.S. Code section 107, 410 U.S. 113
    within _____ days of [***]    ->   within [blank] days of [redacted]

Only a number at the very start goes, and only where a heading or a sentence follows it; citations lose nothing.
"""

from __future__ import annotations

import re

_MARK = r"\((?:[A-Za-z]|[ivxIVX]{2,5}|[0-9]{1,3})\)"
_SENTENCE = rf"""(?=["“'‘(\[]?[A-Z]|(?:{_MARK}\s*+)++["“'‘\[]?[A-Za-z])"""

_NUMBERING = re.compile(
    rf"""\s*+(?:
      (?i:articles?|sections?|sec\.|clause|paragraph)\s{{1,3}}(?:[0-9]{{1,3}}(?:\.[0-9]{{1,3}})*+|[IVXLC]{{1,7}}(?![A-Za-z]))
          (?:\s?{_MARK})*+\s{{0,3}}[.:)–—-]{{0,2}}\s++{_SENTENCE}
    | [0-9]{{1,3}}(?:\.[0-9]{{1,3}}){{1,6}}\.?(?:\s?{_MARK})*+[.:)]?\s++{_SENTENCE}
    | [0-9]{{1,3}}(?:[.)]|\.?(?:{_MARK})++[.:]?)\s++{_SENTENCE}
    | [IVXLC]{{2,7}}[.)]\s++{_SENTENCE}
    | (?:{_MARK}\s{{0,3}}+)++(?=["“'‘\[]?[A-Za-z])
    )""",
    re.VERBOSE,
)
_GAP = re.compile(r"_{3,}+")
_REDACTION = re.compile(r"\[\s{0,3}+(?:\*\s{0,3}+){1,9}+\]")
_SIGN = r"(?:§§?|[Ss]ecs?\.|[Ss]ections?)"
_CODE = re.compile(
    rf"(?<![\w.])([0-9]{{1,3}})\s{{1,3}}U\.?\s?S\.?\s?C\.?(?:\s?A\.?)?\s{{0,3}}{_SIGN}?\s{{0,3}}(?=[0-9])"
)
_REGULATION = re.compile(
    rf"(?<![\w.])([0-9]{{1,3}})\s{{1,3}}C\.?\s?F\.?\s?R\.?\s{{0,3}}(?:{_SIGN}|[Pp]art)?\s{{0,3}}(?=[0-9])"
)
_REPORTER = re.compile(r"(?<=[0-9] )(?:U\.\s?S\.|(F)\.\s?(2d|3d|4th))(?=\s[0-9])")
_SECTION = re.compile(r"(?:(§§)|§|(?<!\w)[Ss]ec\.)\s{0,3}(?=[0-9])")


def normalise(text: str) -> str:
    """The text with its references in one shape. Pure, and the same when it is done twice."""
    text = _GAP.sub("[blank]", text)
    text = _REDACTION.sub("[redacted]", text)
    text = _CODE.sub(r"\1 U.S. Code section ", text)
    text = _REGULATION.sub(r"\1 Code of Federal Regulations section ", text)
    text = _REPORTER.sub(lambda found: f"{found[1]}.{found[2]}" if found[1] else "U.S.", text)
    text = _SECTION.sub(lambda found: "sections " if found[1] else "section ", text)
    return text[_numbering_end(text) :]


def _numbering_end(text: str) -> int:
    end = 0
    while found := _NUMBERING.match(text, end):
        end = found.end()
    return end
