"""The encoder on torch: any model that transformers' AutoModel loads, on CPU and CUDA with the same code."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from transformers import AutoModel
from transformers.utils import logging as transformers_logging

from candelabra.backbones import Backbone, fingerprint
from candelabra.engine.encoder import Encoded
from candelabra.engine.window import Window
from candelabra.errors import BackboneCorrupt, InvalidArgument
from candelabra.types import BackboneInfo, Slot

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
PASS_TOKENS = {"cpu": 512, "cuda": 16384}
"""On a CPU the activations of a larger pass leave the caches; a GPU needs many tokens to be busy."""


class TorchEncoder:
    """Loaded once, frozen. Not thread-safe: the lane's thread is the only one that calls it."""

    def __init__(self, model: Any, info: BackboneInfo) -> None:
        self.model = model
        self.info = info
        self.device = torch.device(info.device)
        self.pass_tokens = PASS_TOKENS[self.device.type]
        self._padding = model.config.pad_token_id or 0
        self._types = _tells_texts_apart(model)
        self._aside: Callable[[], None] | None = None
        for layer in _layers(model, info.layers):
            layer.register_forward_pre_hook(self._step_aside)

    @classmethod
    def load(cls, backbone: Backbone, device: str = "auto", precision: str = "auto", threads: int = 0) -> TorchEncoder:
        place = _device(device)
        precision = _precision(precision, place)
        if place.type == "cpu":
            torch.set_num_threads(threads or _cores())
        info = BackboneInfo(
            name=backbone.name,
            fingerprint=fingerprint(backbone, precision, "torch"),
            layers=backbone.layers,
            dimension=backbone.dimension,
            window=backbone.window,
            device=str(place),
            precision=precision,
            engine="torch",
        )
        encoder = cls(_model(backbone, DTYPES[precision]).to(place), info)
        warm = Window(np.array([1, 2, 3], np.int32))
        encoder.encode([warm], [Slot(backbone.layers, "mean")])  # the first pass is the slow one
        return encoder

    def encode(
        self,
        windows: Sequence[Window],
        slots: Sequence[Slot],
        layers: Sequence[int] = (),
        wanted: Sequence[int] = (),
        aside: Callable[[], None] | None = None,
    ) -> Encoded:
        """One pass; halved and tried again where the GPU's memory does not hold it. `aside` comes before each layer."""
        outer, self._aside = self._aside, aside
        try:
            return self._whole_or_halves(windows, slots, layers if wanted else (), wanted if layers else ())
        finally:
            self._aside = outer

    def _whole_or_halves(
        self, windows: Sequence[Window], slots: Sequence[Slot], layers: Sequence[int], wanted: Sequence[int]
    ) -> Encoded:
        if not windows or not (slots or wanted):
            return Encoded(np.zeros((len(windows), len(slots), self.info.dimension), np.float32), {})
        try:
            return self._encode(windows, slots, layers, wanted)
        except torch.OutOfMemoryError:
            if len(windows) == 1:
                raise
        torch.cuda.empty_cache()
        half = len(windows) // 2
        left = self._whole_or_halves(windows[:half], slots, layers, [at for at in wanted if at < half])
        right = self._whole_or_halves(windows[half:], slots, layers, [at - half for at in wanted if at >= half])
        states = {**left.states, **{at + half: states for at, states in right.states.items()}}
        return Encoded(np.concatenate([left.pooled, right.pooled]), states)

    def _step_aside(self, *_: object) -> None:
        """Between two layers: a whole pass of other work fits in, for the layers keep nothing of a pass."""
        if self._aside is not None:
            self._aside()

    @torch.inference_mode()
    def _encode(
        self, windows: Sequence[Window], slots: Sequence[Slot], layers: Sequence[int], wanted: Sequence[int]
    ) -> Encoded:
        inputs = self._pad(windows)
        mask = inputs["attention_mask"]
        found = self._forward(inputs, {slot.layer for slot in slots}.union(layers))
        if slots:
            pooled = torch.stack([_pool(found[slot.layer], mask, slot.pooling) for slot in slots], dim=1).cpu().numpy()
        else:
            pooled = np.zeros((len(windows), 0, self.info.dimension), np.float32)
        if not wanted:
            return Encoded(pooled, {})
        rows = torch.tensor(wanted, device=self.device)
        longest = max(len(windows[at].ids) for at in wanted)
        block = torch.stack([found[layer][rows, :longest].float() for layer in layers], dim=2).cpu().numpy()
        return Encoded(pooled, {at: block[k, : len(windows[at].ids)] for k, at in enumerate(wanted)})

    def _pad(self, windows: Sequence[Window]) -> dict[str, torch.Tensor | None]:
        """No mask where nothing is padded: the attention takes its quickest way then."""
        lengths = [len(one.ids) for one in windows]
        longest = max(lengths)
        padded = np.full((len(windows), longest), self._padding, np.int64)
        for at, one in enumerate(windows):
            padded[at, : lengths[at]] = one.ids
        inputs: dict[str, torch.Tensor | None] = {"input_ids": self._move(padded), "attention_mask": None}
        if min(lengths) != longest:
            mask = np.arange(longest)[None, :] < np.array(lengths)[:, None]
            inputs["attention_mask"] = self._move(mask.astype(np.int64))
        if self._types and any(one.second for one in windows):
            types = np.zeros((len(windows), longest), np.int64)
            for at, one in enumerate(windows):
                if one.second:
                    types[at, one.second : lengths[at]] = 1
            inputs["token_type_ids"] = self._move(types)
        return inputs

    def _move(self, array: np.ndarray) -> torch.Tensor:
        tensor = torch.from_numpy(array)
        if self.device.type == "cuda":
            return tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor

    def _forward(self, inputs: dict[str, torch.Tensor | None], layers: set[int]) -> dict[int, torch.Tensor]:
        if layers == {self.info.layers}:
            return {self.info.layers: self.model(**inputs).last_hidden_state}
        found = self.model(**inputs, output_hidden_states=True)
        if len(found.hidden_states) != self.info.layers + 1:
            raise RuntimeError(f"{len(found.hidden_states)} hidden states of {self.info.layers} layers: this is a bug")
        states = {layer: found.hidden_states[layer] for layer in layers}
        if self.info.layers in states:  # some models norm the last layer's output once more: alone or not, the same
            states[self.info.layers] = found.last_hidden_state
        return states


def _layers(model: torch.nn.Module, count: int) -> Iterable[torch.nn.Module]:
    """The encoder's layers, found by their number; none where the architecture hides them."""
    lists = (module for module in model.modules() if isinstance(module, torch.nn.ModuleList))
    return next((layers for layers in lists if len(layers) == count), ())


def _tells_texts_apart(model: Any) -> bool:
    """Whether the model was trained with token types: 0 for a first text, 1 for a second."""
    knows = "token_type_ids" in inspect.signature(model.forward).parameters
    return knows and (getattr(model.config, "type_vocab_size", 0) or 0) > 1


def _pool(states: torch.Tensor, mask: torch.Tensor | None, pooling: str) -> torch.Tensor:
    """Sums are made in fp32 whatever the model computes in."""
    if pooling == "cls":
        return states[:, 0].float()
    if mask is None:
        return states.float().mean(dim=1)
    weights = mask.unsqueeze(-1).float()
    # Where padding holds an overflow (fp16), 0 * inf would be nan: it is removed, not multiplied away.
    return states.float().masked_fill(weights == 0, 0.0).sum(dim=1) / weights.sum(dim=1)


def _model(backbone: Backbone, dtype: torch.dtype) -> Any:
    transformers_logging.disable_progress_bar()
    try:
        model, report = AutoModel.from_pretrained(
            backbone.path,
            dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except Exception as error:
        raise BackboneCorrupt(
            f"{backbone.name} in {backbone.path} cannot be loaded ({str(error)[:300]}): fetch or save it again.",
            backbone=backbone.name,
        ) from error
    missing = [key for key in report["missing_keys"] if "pooler" not in key]
    if missing:  # transformers would fill them with random numbers and go on
        raise BackboneCorrupt(
            f"{backbone.name} in {backbone.path} lacks {len(missing)} weights, {missing[0]} among them: "
            "save the whole encoder again.",
            backbone=backbone.name,
        )
    if getattr(model, "pooler", None) is not None:
        model.pooler = None  # never asked for
    return model.eval().requires_grad_(False)


def _cores() -> int:
    """The cores that this process may use, which in a container are fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _device(wanted: str) -> torch.device:
    if wanted == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in PASS_TOKENS:
        raise InvalidArgument(f"The device {wanted!r} is not known: use auto, cpu, cuda or cuda:N.", setting="device")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InvalidArgument(
            f"The device {wanted!r} is not there ({torch.cuda.device_count()} CUDA devices): use auto or cpu.",
            setting="device",
        )
    return torch.device("cuda", device.index or 0) if device.type == "cuda" else device


def _precision(wanted: str, device: torch.device) -> str:
    if wanted != "auto":
        return wanted
    if device.type == "cpu":
        return "fp32"
    with torch.cuda.device(device):
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
