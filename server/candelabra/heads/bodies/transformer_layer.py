"""Layers of a BERT-like encoder as functions of their weights, so that a head can carry its own top ones."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from torch.nn import functional

from candelabra.errors import BackboneCorrupt, InvalidArgument

Weights = Mapping[str, torch.Tensor]
Drop = Callable[[torch.Tensor], torch.Tensor]

NAMES = tuple(
    f"{part}.{kind}" for part in ("qkv", "out", "norm", "up", "down", "last_norm") for kind in ("weight", "bias")
)
"""A layer's tensors: attention (queries, keys and values in one matrix), its norm, the feed-forward, its norm."""

_BERT = {
    "qkv": ("attention.self.query", "attention.self.key", "attention.self.value"),
    "out": ("attention.output.dense",),
    "norm": ("attention.output.LayerNorm",),
    "up": ("intermediate.dense",),
    "down": ("output.dense",),
    "last_norm": ("output.LayerNorm",),
}
_MPNET = {
    **_BERT,
    "qkv": ("attention.attn.q", "attention.attn.k", "attention.attn.v"),
    "out": ("attention.attn.o",),
    "norm": ("attention.LayerNorm",),
}
FAMILIES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "bert": _BERT,
    "roberta": _BERT,
    "xlm-roberta": _BERT,
    "camembert": _BERT,
    "electra": _BERT,
    "mpnet": _MPNET,
}
BUCKETS, FARTHEST = 32, 128


@dataclass(frozen=True, slots=True)
class Shape:
    """What the weights do not say: heads of the attention, and the norms' epsilon."""

    heads: int
    epsilon: float


@dataclass(frozen=True, eq=False)
class Layers:
    """Layers in their order, float32. `near` [32, heads] is MPNet's bias for the distance of two tokens; `total` is
    how many layers the encoder has that they come from, where that is known."""

    shape: Shape
    weights: tuple[Weights, ...]
    near: torch.Tensor | None = None
    total: int = 0


def run(x: torch.Tensor, mask: torch.Tensor | None, layers: Layers, drop: Drop | None = None) -> torch.Tensor:
    """States [b, t, d] behind the last of the layers. `mask` [b, t] is True for real tokens; None: all are."""
    bias = _bias(x, mask, layers)
    for weights in layers.weights:
        x = layer(x, bias, weights, layers.shape, drop)
    return x


def layer(
    x: torch.Tensor, bias: torch.Tensor | None, weights: Weights, shape: Shape, drop: Drop | None = None
) -> torch.Tensor:
    """One post-norm layer as BERT has it (arXiv 1810.04805): attention, norm, feed-forward with erf GELU, norm.

    `bias` broadcasts to [b, heads, t, t]: True or False for what may be attended to, or numbers to be added. About
    24 d^2 operations a token and 4 t d for the attention.
    """
    b, t, d = x.shape
    q, k, v = _linear(x, weights, "qkv").view(b, t, 3, shape.heads, d // shape.heads).permute(2, 0, 3, 1, 4)
    seen = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    out = _linear(seen.transpose(1, 2).reshape(b, t, d), weights, "out")
    x = _norm(x + (drop(out) if drop else out), weights, "norm", shape)
    out = _linear(functional.gelu(_linear(x, weights, "up")), weights, "down")
    return _norm(x + (drop(out) if drop else out), weights, "last_norm", shape)


def _linear(x: torch.Tensor, weights: Weights, name: str) -> torch.Tensor:
    return functional.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])


def _norm(x: torch.Tensor, weights: Weights, name: str, shape: Shape) -> torch.Tensor:
    weight = weights[f"{name}.weight"]
    return functional.layer_norm(x, weight.shape, weight, weights[f"{name}.bias"], shape.epsilon)


def _bias(x: torch.Tensor, mask: torch.Tensor | None, layers: Layers) -> torch.Tensor | None:
    allowed = None if mask is None else mask[:, None, None, :]
    if layers.near is None:
        return allowed
    near = layers.near[_buckets(x.shape[1])].permute(2, 0, 1)[None]
    return near if allowed is None else near.masked_fill(~allowed, torch.finfo(near.dtype).min)


def _buckets(tokens: int) -> torch.Tensor:
    """The bucket of each distance [t, t], as T5 counts them (arXiv 1910.10683): near ones exact, far ones by log."""
    place = torch.arange(tokens)
    ahead = place[None, :] - place[:, None]
    half, exact = BUCKETS // 2, BUCKETS // 4
    size = ahead.abs()
    ratio = torch.log(size.clamp(min=1).float() / exact) / math.log(FARTHEST / exact)
    far = (exact + (ratio * (half - exact)).long()).clamp(max=half - 1)
    return torch.where(ahead > 0, half, 0) + torch.where(size < exact, size, far)


def supported(folder: Path) -> str:
    """The model type of the backbone there; InvalidArgument where its layers are not of a kind known here."""
    return _family(_config(folder))


def read(folder: Path, count: int) -> Layers:
    """The upper `count` layers of the encoder in a folder with config.json and *.safetensors."""
    config = _config(folder)
    family = _family(config)
    total, heads = int(config["num_hidden_layers"]), int(config["num_attention_heads"])  # type: ignore[call-overload]
    if not 1 <= count <= total:
        raise InvalidArgument(f"The backbone has {total} layers: {count} of them cannot be tuned.", field="k")
    found = {name.partition("encoder.")[2] or name: tensor for name, tensor in _tensors(folder, total - count)}
    weights = []
    for number in range(total - count, total):
        one = {}
        for part, sources in FAMILIES[family].items():
            for kind in ("weight", "bias"):
                names = [f"layer.{number}.{source}.{kind}" for source in sources]
                if missing := [name for name in names if name not in found]:
                    raise BackboneCorrupt(f"{folder} lacks the weights {missing[0]}: save the whole encoder again.")
                one[f"{part}.{kind}"] = torch.cat([found[name].float() for name in names])
        weights.append(one)
    near = found["relative_attention_bias.weight"].float() if family == "mpnet" else None
    return Layers(Shape(heads, float(config["layer_norm_eps"])), tuple(weights), near, total)  # type: ignore[arg-type]


def _config(folder: Path) -> Mapping[str, object]:
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BackboneCorrupt(f"The config.json of {folder} cannot be read ({error}): fetch it again.") from None
    return config if isinstance(config, dict) else {}


def _family(config: Mapping[str, object]) -> str:
    kind = str(config.get("model_type", "unknown"))
    if kind not in FAMILIES:
        raise InvalidArgument(
            f"TOP_K cannot tune layers of model type {kind!r}: use a backbone of {', '.join(FAMILIES)}, or LAYER_MIX.",
            field="method",
        )
    odd = {
        "hidden_act": config.get("hidden_act", "gelu") != "gelu",
        "position_embedding_type": config.get("position_embedding_type", "absolute") != "absolute",
        "is_decoder": bool(config.get("is_decoder", False)),
    }
    if wrong := [name for name, is_odd in odd.items() if is_odd]:
        raise InvalidArgument(
            f"TOP_K cannot tune this backbone: its {wrong[0]} is {config[wrong[0]]!r}. Use LAYER_MIX.", field="method"
        )
    return kind


def _tensors(folder: Path, first: int) -> Iterator[tuple[str, torch.Tensor]]:
    """Tensors of layers from `first` on, and MPNet's distances."""
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - it is no dict
                _, layer_, rest = name.partition("encoder.layer.")
                number = rest.partition(".")[0]
                if (layer_ and number.isdigit() and int(number) >= first) or "relative_attention_bias" in name:
                    yield name, file.get_tensor(name)


def rounded(layers: Layers) -> Layers:
    """As a head file keeps them: float16 values, here in float32."""

    def half(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.detach().half().float()

    near = None if layers.near is None else half(layers.near)
    weights = tuple({name: half(one[name]) for name in NAMES} for one in layers.weights)
    return Layers(layers.shape, weights, near)


def padded(states: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor | None]:
    """States [t, d] of several windows as one [b, longest, d], and the mask; None where nothing is padded."""
    lengths = [len(one) for one in states]
    if min(lengths) == max(lengths):
        return torch.stack(list(states)), None
    x = torch.nn.utils.rnn.pad_sequence(list(states), batch_first=True)
    return x, torch.arange(max(lengths))[None, :] < torch.tensor(lengths)[:, None]
