"""docs/quality.md: goals, tables and pictures of what a ledger holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench import quality_tables
from bench.ledger import RACE_SECONDS, SETFIT, Ledger, save

PAGE = Path(__file__).resolve().parent.parent / "docs" / "quality.md"
IMAGES = PAGE.parent / "images"

CAPTIONS = {
    "learning_curves": "Test accuracy against examples a label; bars are one standard deviation over seeds.",
    "gap_closed": "Share of the gap between probe and full fine-tuning that AUTO closes.",
    "reliability": "How often AUTO is right against how sure it is, on test; bars are 95 % intervals.",
    "confusion_few_labels": "AUTO's decisions on test: each line is a true label, its shares add up to 1.",
    "confusion_many_labels": "The same for many labels, with the decisions that are most often wrong.",
}

INTRODUCTION = """\
# Test scores

`make bench-quality` trained every head through the served API on a train split, let it decide the test split once, and
wrote this page; `make bench-quality ARGS="--table"` writes it again without measuring. What is missing is "not run"; a
dash stands where there is no such number. The numbers are also in `bench/results/summary.json`.

{machines}
"""

COMPARED = """\
- *Majority* always gives the most frequent answer of the train split.
- *Floor* is the baseline without a pretrained model in the dataset's README: TF-IDF with logistic regression for
  labels, ridge on TF-IDF or TF-IDF's cosine for numbers, a conditional random field for entities, the sentence with
  most words of the question for answers.
- *Probe* is one linear layer on the frozen encoder's last layer (`python -m bench.probes`).
- *Full fine-tune* trains the same encoder whole (`python -m bench.fine_tune`).
- *Gap closed* is (AUTO − probe) / (full fine-tune − probe), "no gap" where full fine-tuning gains less than half a
  point.
- *AUTO* may race for {race:.0f} s on a whole train split and for the server's default of 60 s on few examples.
- *95 %* is a bootstrap interval over test rows; *Adapt, s* the wall time of one call, encoding included.
- *ECE* has 15 bins; *by chance* is what perfectly calibrated probabilities would show on as many test rows. Sets and
  intervals were asked to cover 90 %. Chance alone moves a coverage by 1.3 points (one standard error) on 500 test rows,
  and by 2 on the 225 of semeval17_headlines.
- Everything is chosen on the train split. Once, while CLOSED_FORM's layers were being settled, test scores of banking77
  and cuad_clauses were seen; leave-one-out makes the same choice, but those two are not a single clean look.
"""

SETFIT_RUN = """\
SetFit tunes the encoder itself on pairs of examples; here the official library tunes the same encoder on the same
examples (`python -m bench.setfit`), scored on at most 1,000 test rows."""

SETFIT_NOT_RUN = "SetFit, which tunes the encoder itself on pairs of examples, has not been measured."

NOTHING = "Nothing that was measured was refused by the gate, and nothing failed."


def page(ledger: Ledger, pictures: Sequence[str]) -> str:
    """Markdown; `pictures` are the names of CAPTIONS that lie in docs/images."""
    parts = [
        INTRODUCTION.format(machines=machines(ledger)),
        "## Goals\n",
        quality_tables.goals_table(ledger),
        "",
        *_pictures(pictures, "gap_closed"),
        "## AUTO on whole training sets\n",
        quality_tables.auto_table(ledger),
        "",
        COMPARED.format(race=RACE_SECONDS),
        "## Few examples\n",
        quality_tables.few_table(ledger),
        "",
        SETFIT_RUN if any(f"/{SETFIT}/" in name for name in ledger.found) else SETFIT_NOT_RUN,
        "",
        *_pictures(pictures, "learning_curves"),
        "## Calibration\n",
        *_pictures(pictures, "reliability"),
        "## Confusion\n",
        *_pictures(pictures, "confusion_few_labels", "confusion_many_labels"),
        "## Every method on whole training sets\n",
        quality_tables.methods_table(ledger),
        "",
        "## Refused and failed\n",
        quality_tables.remarks(ledger) or NOTHING,
    ]
    return "\n".join(parts) + "\n"


def machines(ledger: Ledger) -> str:
    """Where and when the results were made that say so."""
    noted = [one for one in ledger.found.values() if "machine" in one]
    if not noted:
        return "Machine and day: not noted."
    days = sorted({one["date"] for one in noted})
    span = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return f"Measured {span} on {'; '.join(sorted({one['machine'] for one in noted}))}."


def pictures() -> list[str]:
    """Those that have been drawn."""
    return [name for name in CAPTIONS if (IMAGES / f"{name}.png").exists()]


def write(ledger: Ledger) -> None:
    """The page, and its numbers as bench/results/summary.json."""
    save("summary", quality_tables.numbers(ledger))
    PAGE.write_text(page(ledger, pictures()), "utf-8")


def _pictures(there: Sequence[str], *wanted: str) -> list[str]:
    return [f"![{CAPTIONS[name]}](images/{name}.png)\n\n{CAPTIONS[name]}\n" for name in wanted if name in there]
