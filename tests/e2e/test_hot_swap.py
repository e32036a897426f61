"""The right head, whatever is promoted, rolled back, deleted and adapted meanwhile: the benchmark, for ten seconds."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from bench import hot_swap
from candelabra.heads.head import Head
from candelabra.testing.server import Server


def test_every_answer_is_that_of_the_version_it_names(server: Server) -> None:
    result = asyncio.run(hot_swap.measure(server, seconds=10, clients=16, heads=40, texts=100))
    assert result.failed == {}
    assert result.wrong == 0, result.worst
    assert result.checked == result.predictions > 200
    assert {"promote", "roll back", "import", "delete", "adapt"} <= result.actions.keys()


def test_the_check_would_notice_another_heads_answer() -> None:
    """A negative control: an answer that was given by another version is counted as wrong."""
    ledger = hot_swap.Ledger()
    from candelabra_client import Backbone

    backbone = Backbone("x", "f", 6, 384, 256, "cpu", "fp32", "torch")
    first, second = (hot_swap.random_head(backbone, seed, 3) for seed in (1, 2))
    ledger.files = {"a/b@1": ("d1", first), "a/b@2": ("d2", replace(second))}
    _, _, worst = _answered_by(ledger, second)
    assert worst > hot_swap.TOLERANCE


def _answered_by(ledger: hot_swap.Ledger, head: Head) -> tuple[int, int, float]:
    """`head` answers in the name of a/b@1."""
    import numpy as np

    from candelabra.backbones import resolve
    from candelabra.engine.row import Inputs
    from candelabra.engine.tokenizer import Tokenizer
    from candelabra.engine.torch_encoder import TorchEncoder
    from candelabra.settings import Settings
    from candelabra.types import LongText

    settings = Settings()
    backbone = resolve(settings.backbone, settings.cache)
    (tokens,) = Tokenizer.load(backbone, 0, 32, 32).split(["A text."], LongText.TRUNCATE)
    features = TorchEncoder.load(backbone, "cpu", "auto", 0).encode(tokens.windows, head.slots).pooled
    scores = head.scores(Inputs(np.asarray(features).reshape(1, -1)))[0].tolist()
    ledger.answers = [("A text.", "a/b@1", "d1", dict(zip(head.labels, scores, strict=True)))]
    checked, wrong, worst = hot_swap.recompute(ledger)
    assert (checked, wrong) == (1, 1)
    return checked, wrong, worst
