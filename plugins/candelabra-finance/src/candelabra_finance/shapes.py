"""One shape for what finance writes in many: cashtags, amounts of money, percentages, basis points.

    $AAPL              AAPL stock          €3,2mn    EUR 3.2 million
    US$ 1.5bn          USD 1.5 billion     5,5 per cent    5.5%

A text that has none of them comes back as it is: it then shares a forward pass with other domains.
Possessive quantifiers keep every pattern linear in the length of the text.
"""

from __future__ import annotations

import re

_CODES = (
    "EUR", "USD", "GBP", "JPY", "CHF", "SEK", "NOK", "DKK", "AUD", "CAD", "NZD", "CNY", "HKD", "SGD", "INR", "BRL",
    "MXN", "ZAR", "PLN", "CZK", "HUF", "TRY", "RUB", "KRW",
)  # fmt: skip
_SIGNS = {
    "€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR", "₩": "KRW", "$": "USD", "US$": "USD", "A$": "AUD", "C$": "CAD",
    "HK$": "HKD", "NZ$": "NZD", "S$": "SGD",
}  # fmt: skip
_SCALES = {
    "thousand": ("thousand", "k"),
    "million": ("million", "mln", "mn", "mio", "m"),
    "billion": ("billion", "bln", "bn", "b"),
    "trillion": ("trillion", "trn", "tn"),
}
_SCALE_OF = {short: scale for scale, shorts in _SCALES.items() for short in shorts}

_SPACE = "[ \u00a0\u202f]"
_NUMBER = r"[0-9]++(?:[.,\u00a0\u202f][0-9]++)*+"
_START = r"(?<![\w.,$€£¥₹₩])"
_SIGN = r"(?:US|HK|NZ|[ACS])?\$|[€£¥₹₩]"
_SCALE = "|".join(sorted(_SCALE_OF, key=len, reverse=True))

_CASHTAG = re.compile(
    r"(?<![\w$])\$([A-Z]{1,5}(?:\.[A-Z])?)(?![\w$])((?=\s+(?:stock|shares?|options?|calls?|puts?)\b))?"
)
_BEFORE = re.compile(
    rf"{_START}({_SIGN}|{'|'.join(_CODES)}){_SPACE}?({_NUMBER})(?:{_SPACE}?({_SCALE})(?!\w))?(?![\w])", re.IGNORECASE
)
_AFTER = re.compile(
    rf"{_START}({_NUMBER})(?:{_SPACE}?({_SCALE}))?{_SPACE}?([€£]|(?<=[0-9\s])(?:{'|'.join(_CODES)}))(?![\w$€£])(?!\s?[0-9])"
)
_PERCENT = re.compile(rf"{_START}({_NUMBER}){_SPACE}?(?:%|per cent\b|percent\b|pct\b)", re.IGNORECASE)
_BASIS_POINTS = re.compile(rf"{_START}({_NUMBER}){_SPACE}?(?:bps?|BPS)\b")


def normalise(text: str) -> str:
    """The text with each shape written in one way. Pure, and the same when it is done twice."""
    if "$" not in text and not any(map(str.isdigit, text)):
        return text
    text = _CASHTAG.sub(_cashtag, text)
    text = _BEFORE.sub(lambda found: _money(found[1], found[2], found[3]), text)
    text = _AFTER.sub(lambda found: _money(found[3], found[1], found[2]), text)
    text = _PERCENT.sub(lambda found: f"{number(found[1])}%", text)
    return _BASIS_POINTS.sub(lambda found: f"{number(found[1])} basis points", text)


def number(text: str) -> str:
    """A number as English writes it: 1.200,50 and 1 200,50 are 1,200.50. One that reads both ways is left alone."""
    spaced = re.split("[\u00a0\u202f]", text)
    if len(spaced) > 1 and re.fullmatch("[0-9]+[.,][0-9]+", spaced[-1]):
        # 1 200,5: spaces between thousands, so the mark can only be the decimals'.
        text = ",".join([*spaced[:-1], spaced[-1].replace(",", ".")])
    plain = re.sub("[\u00a0\u202f]", ",", text)
    whole, mark, decimals = _split(plain)
    groups = re.split("[.,]", whole)
    if len(groups) > 1 and not (len(groups[0]) <= 3 and all(len(group) == 3 for group in groups[1:])):
        return text
    return ",".join(groups) + ("." + decimals if mark else "")


def _split(plain: str) -> tuple[str, str, str]:
    """Where the decimals begin, if there are any."""
    commas, points = plain.count(","), plain.count(".")
    if commas and points:
        return _cut(plain, max(plain.rfind(","), plain.rfind(".")))
    if points == 1:
        return _cut(plain, plain.rfind("."))
    if commas == 1 and (len(plain) - plain.rfind(",") != 4 or plain.startswith("0") or plain.find(",") > 3):
        return _cut(plain, plain.rfind(","))
    return plain, "", ""


def _cut(plain: str, at: int) -> tuple[str, str, str]:
    return plain[:at], plain[at], plain[at + 1 :]


def _cashtag(found: re.Match[str]) -> str:
    if found[1] in _CODES or found[1].lower() in _SCALE_OF:
        return found[0]
    said = found[2] is not None
    return found[1] if said else f"{found[1]} stock"


def _money(currency: str, amount: str, scale: str | None) -> str:
    code = _SIGNS.get(currency.upper(), currency.upper())
    parts = [code, number(amount)]
    return " ".join([*parts, _SCALE_OF[scale.lower()]] if scale else parts)
