"""Clinical shorthand spelled out: doses, rates, how often and by which way, and what notes abbreviate.

    250µg/kg/day i.v. b.i.d.   ->   250 mcg per kg per day intravenously twice daily
    68 y/o, s/p CABG, h/o HTN  ->   68 year-old, status post CABG, history of hypertension

Only what reads one way is changed: d/c (discharge or discontinue), MI, MS, PT and their like stay.
"""

from __future__ import annotations

import re

_UNITS = {"µg": "mcg", "μg": "mcg", "ug": "mcg"}
_PER = {"d": "day", "h": "hour", "hr": "hour", "min": "minute", "wk": "week", "m²": "m2"}
_SCHEDULE = {
    "bid": "twice daily",
    "tid": "three times daily",
    "qid": "four times daily",
    "qd": "once daily",
    "od": "once daily",
    "qhs": "at bedtime",
    "qam": "every morning",
    "prn": "as needed",
    "po": "by mouth",
    "iv": "intravenously",
    "im": "intramuscularly",
    "sc": "subcutaneously",
    "sq": "subcutaneously",
}
_SLASHED = {
    "h/o": "history of",
    "s/p": "status post",
    "c/o": "complains of",
    "f/u": "follow-up",
    "y/o": "year-old",
    "w/o": "without",
    "n/v": "nausea and vomiting",
}
_SHORT = {
    "HTN": "hypertension",
    "NKDA": "no known drug allergies",
    "ADR": "adverse drug reaction",
    "ADRs": "adverse drug reactions",
    "Hx": "history",
    "Dx": "diagnosis",
    "PRN": "as needed",
    "BID": "twice daily",
    "TID": "three times daily",
    "QID": "four times daily",
}

_DOTTED = {".".join(short): words for short, words in _SCHEDULE.items() if short != "od"}
_UNIT = "mcg|mg|[µμu]g|ng|kg|g|m[lL]|d[lL]|L|IU|units?|mmol|mEq"
_RATE = "kg|m2|m²|min|m[lL]|day|dose|d[lL]|d|hour|hr|h|week|wk|[lL]"  # longer ones before their beginnings

_DOSE = re.compile(rf"(?<![\w.,])([0-9]++(?:[.,][0-9]++)*+)[ -]?({_UNIT})((?:/(?:{_RATE}))*+)(?![\w/])")
_MICROGRAM = re.compile(r"(?<![^\W0-9_])[µμ]g(?!\w)")
_AFTER_DOSE = re.compile(
    rf"(?<= )((?:{_UNIT})(?: per \w{{1,6}})*+)((?: (?:{'|'.join(_SCHEDULE)})(?![\w.]))++)", re.IGNORECASE
)
_POINTED = re.compile(rf"(?<![\w.])({'|'.join(map(re.escape, _DOTTED))})(?:\.|(?!\w))", re.IGNORECASE)
_SLASH = re.compile(rf"(?<![\w/])({'|'.join(_SLASHED)})(?![\w/])", re.IGNORECASE)
_WORD = re.compile(rf"(?<![\w./-])({'|'.join(sorted(_SHORT, key=len, reverse=True))})(?![\w/-])")
_EVERY = re.compile(r"(?<![\w.])q\.?[ ]?([0-9]{1,2})[ ]?h(?:rs?)?(?!\w)\.?", re.IGNORECASE)


def spell_out(text: str) -> str:
    """The text with its shorthand in words. Pure, and the same when it is done twice."""
    text = _DOSE.sub(_dose, text)
    text = _MICROGRAM.sub("mcg", text)
    text = _AFTER_DOSE.sub(_after_dose, text)
    text = _POINTED.sub(lambda found: _DOTTED[found[1].lower()], text)
    text = _SLASH.sub(lambda found: _SLASHED[found[1].lower()], text)
    text = _EVERY.sub(lambda found: f"every {found[1]} hours", text)
    return _WORD.sub(lambda found: _SHORT[found[1]], text)


def _dose(found: re.Match[str]) -> str:
    unit = _UNITS.get(found[2], found[2])
    rates = [_PER.get(rate, rate) for rate in found[3].split("/")[1:]]
    return " per ".join([f"{found[1]} {unit}", *rates])


def _after_dose(found: re.Match[str]) -> str:
    return " ".join([found[1], *(_SCHEDULE[short.lower()] for short in found[2].split())])
