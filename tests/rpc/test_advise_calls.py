"""Advice over the wire: an encoder that knows words is told from one that knows nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from sentences import topics
from transformers import BertConfig, BertModel

from candelabra.backbones import resolve
from candelabra.settings import Settings
from candelabra_client import Client, InvalidArgument


@pytest.fixture(scope="module")
def ignorant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backbone of chance: three layers that learned nothing, with the tokenizer of the default one."""
    folder = tmp_path_factory.mktemp("ignorant")
    settings = Settings()
    known = resolve(settings.backbone, settings.cache, settings.window).path
    shutil.copy(known / "tokenizer.json", folder)
    torch.manual_seed(0)
    config = BertConfig(hidden_size=64, num_hidden_layers=3, num_attention_heads=4, intermediate_size=128)
    BertModel(config).save_pretrained(folder)
    return folder


def test_the_better_backbone_is_named_and_by_how_much(client: Client, ignorant: Path) -> None:
    serving = client.backbone().name
    advice = client.advise(topics(), backbones=[str(ignorant), serving], timeout=120)
    best, other = advice.backbones
    assert best.name == serving
    assert serving in advice.recommendation
    assert best.score is not None
    assert other.score is not None
    assert best.score.value > 0.8
    assert other.regret is not None
    assert other.regret.value == pytest.approx(best.score.value - other.score.value, abs=1e-6)
    assert other.regret.low > 0
    assert best.log_me > other.log_me
    assert best.fingerprint != other.fingerprint
    assert best.seconds_per_1k > 0


def test_a_dataset_on_the_server_is_enough(client: Client) -> None:
    client.datasets.append("advise/topics", topics())
    advice = client.advise(dataset="advise/topics", timeout=120)
    assert [one.name for one in advice.backbones][:1] == [client.backbone().name]


def test_a_backbone_that_is_not_here_is_refused(client: Client) -> None:
    with pytest.raises(InvalidArgument) as caught:
        client.advise(topics(), backbones=["/no/such/folder"])
    assert caught.value.reason == "UNKNOWN_BACKBONE"
    assert "/no/such/folder" in str(caught.value)
