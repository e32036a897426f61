"""The official SetFit library at work, run by bench.setfit in the library's own environment.

`python -I bench/setfit_trainer.py FOLDER` reads question.json there and writes answer.json: a label for each test text.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import setfit
import torch
import transformers
from datasets import Dataset
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from sklearn.linear_model import LogisticRegression


def answer(question: dict[str, Any], checkpoints: Path) -> dict[str, Any]:
    """Trains on the question's rows and decides its test texts."""
    began = time.perf_counter()
    body = Transformer(question["backbone"], max_seq_length=question["window"])
    pooling = Pooling(body.get_embedding_dimension(), pooling_mode="mean")
    encoder = SentenceTransformer(modules=[body, pooling, Normalize()], device="cpu")
    trainer = setfit.Trainer(
        setfit.SetFitModel(encoder, LogisticRegression()),
        setfit.TrainingArguments(
            output_dir=str(checkpoints),
            num_epochs=1,
            batch_size=16,
            sampling_strategy="oversampling",
            num_iterations=question["iterations"],
            seed=question["seed"],
            report_to="none",
            save_strategy="no",
            show_progress_bar=False,
        ),
        Dataset.from_list(question["train"]),
    )
    trainer.train()
    trained = time.perf_counter()
    labels = [str(label) for label in trainer.model.predict(question["test"], show_progress_bar=False)]
    return {
        "labels": labels,
        "seconds": trained - began,
        "predict_seconds": time.perf_counter() - trained,
        "implementation": (
            f"setfit {setfit.__version__}, torch {torch.__version__}, transformers {transformers.__version__}"
        ),
    }


def main() -> None:
    here = Path(sys.argv[1])
    question = json.loads((here / "question.json").read_text("utf-8"))
    (here / "answer.json").write_text(json.dumps(answer(question, here / "checkpoints")), "utf-8")


if __name__ == "__main__":
    main()
