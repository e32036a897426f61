"""Layers as functions give what transformers' own layers give."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertModel, MPNetConfig, MPNetModel, PreTrainedModel, RobertaConfig, RobertaModel

from candelabra.errors import BackboneCorrupt, InvalidArgument
from candelabra.heads.bodies import transformer_layer

SIZE = {
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 40,
    "vocab_size": 50,
    "max_position_embeddings": 90,
}


def model(family: str) -> PreTrainedModel:
    torch.manual_seed(3)
    made: PreTrainedModel
    if family == "bert":
        made = BertModel(BertConfig(**SIZE))
    elif family == "roberta":
        made = RobertaModel(RobertaConfig(**SIZE))
    else:
        made = MPNetModel(MPNetConfig(**SIZE))
    with torch.no_grad():
        for weight in made.parameters():  # norms and biases too, which begin as ones and zeros
            weight.add_(torch.randn_like(weight) * 0.2)
    return made.eval()


@pytest.mark.parametrize("family", ["bert", "roberta", "mpnet"])
@pytest.mark.parametrize("count", [1, 2])
def test_upper_layers_equal_those_of_the_model(family: str, count: int, tmp_path: Path) -> None:
    whole = model(family)
    whole.save_pretrained(tmp_path, safe_serialization=True)
    ids = torch.randint(4, 50, (2, 40))
    mask = torch.ones(2, 40, dtype=torch.long)
    mask[1, 25:] = 0
    with torch.inference_mode():
        states = whole(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
        layers = transformer_layer.read(tmp_path, count)
        top = transformer_layer.run(states[3 - count], mask.bool(), layers)
    assert (top[0] - states[3][0]).abs().max() < 1e-5
    assert (top[1, :25] - states[3][1, :25]).abs().max() < 1e-5


def test_padding_changes_nothing(tmp_path: Path) -> None:
    model("mpnet").save_pretrained(tmp_path)
    layers = transformer_layer.read(tmp_path, 2)
    short, long = torch.randn(5, 24), torch.randn(9, 24)
    x, mask = transformer_layer.padded([short, long])
    with torch.inference_mode():
        together = transformer_layer.run(x, mask, layers)[0, :5]
        alone = transformer_layer.run(short[None], None, layers)[0]
    assert (together - alone).abs().max() < 1e-5
    assert transformer_layer.padded([short, short])[1] is None


def test_a_layer_is_computed_in_bf16_and_learns(tmp_path: Path) -> None:
    model("mpnet").save_pretrained(tmp_path)
    layers = transformer_layer.read(tmp_path, 1)
    weights = layers.weights[0]
    for tensor in weights.values():
        tensor.requires_grad_(True)
    with torch.autocast("cpu", torch.bfloat16):
        out = transformer_layer.run(torch.randn(2, 6, 24), torch.ones(2, 6, dtype=torch.bool), layers)
    out.float().square().sum().backward()
    gradients = [tensor.grad for tensor in weights.values()]
    assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model_type": "deberta-v2"}, "deberta-v2"),
        ({"model_type": "distilbert"}, "distilbert"),
        ({"hidden_act": "relu"}, "hidden_act"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type"),
        ({"is_decoder": True}, "is_decoder"),
    ],
)
def test_other_models_are_refused_by_name(change: dict[str, object], words: str, tmp_path: Path) -> None:
    config = {**SIZE, "model_type": "bert", "layer_norm_eps": 1e-12, "hidden_act": "gelu", **change}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(InvalidArgument, match=words):
        transformer_layer.supported(tmp_path)


def test_a_folder_without_the_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BackboneCorrupt, match=r"config\.json"):
        transformer_layer.read(tmp_path, 1)
    (tmp_path / "config.json").write_text(json.dumps({**SIZE, "model_type": "bert", "layer_norm_eps": 1e-12}))
    with pytest.raises(BackboneCorrupt, match="lacks the weights"):
        transformer_layer.read(tmp_path, 1)
    with pytest.raises(InvalidArgument, match="has 3 layers"):
        transformer_layer.read(tmp_path, 4)


def test_rounding_is_what_the_file_keeps(tmp_path: Path) -> None:
    model("bert").save_pretrained(tmp_path)
    once = transformer_layer.rounded(transformer_layer.read(tmp_path, 1))
    twice = transformer_layer.rounded(once)
    for name in transformer_layer.NAMES:
        assert torch.equal(once.weights[0][name], twice.weights[0][name])
        assert torch.equal(once.weights[0][name], once.weights[0][name].half().float())
