"""An encoder on disk, ready to be loaded: from the catalogue or from a folder of one's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from candelabra.backbones.catalogue import Entry, find
from candelabra.backbones.fetch import pull
from candelabra.errors import BackboneCorrupt

FALLBACK_WINDOW = 512
# Position numbers of these begin after the padding index, so two of the table's rows are never used.
_OFFSET_POSITIONS = frozenset({"roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "mpnet", "longformer", "ibert"})


@dataclass(frozen=True, slots=True)
class Backbone:
    """Where an encoder lies and what its configuration says. `entry` is None for a folder of one's own."""

    name: str
    path: Path
    architecture: str
    layers: int
    dimension: int
    window: int
    entry: Entry | None = field(default=None, repr=False)


def resolve(
    name_or_folder: str, cache: Path, window: int = 0, progress: Callable[[str], None] | None = None
) -> Backbone:
    """The backbone of that name, fetched if need be, or the one in that folder. `window` 0: its own."""
    folder = Path(name_or_folder).expanduser()
    if folder.is_dir():
        return _describe(folder.name or "folder", folder.resolve(), window, None)
    entry = find(name_or_folder)
    return _describe(entry.name, pull(entry, cache, progress), window, entry)


def _describe(name: str, folder: Path, window: int, entry: Entry | None) -> Backbone:
    if not list(folder.glob("*.safetensors")):
        raise BackboneCorrupt(
            f"{folder} has no *.safetensors file: save the model in that format; pickled weights are never read.",
            backbone=name,
        )
    config = _json(folder / "config.json", name)
    largest = _largest_window(config)
    own = entry.window if entry else min(_trained_window(folder) or largest, largest)
    return Backbone(
        name=name,
        path=folder,
        architecture=str(config.get("model_type", "unknown")),
        layers=_number(config, name, "num_hidden_layers", "n_layers"),
        dimension=_number(config, name, "hidden_size", "dim"),
        window=min(window or own, largest),
        entry=entry,
    )


def _json(path: Path, name: str) -> Mapping[str, object]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BackboneCorrupt(f"{path} is not JSON ({error}): fetch the backbone again.", backbone=name) from None
    return value if isinstance(value, dict) else {}


def _number(config: Mapping[str, object], name: str, *keys: str) -> int:
    for key in keys:
        if isinstance(value := config.get(key), int) and value > 0:
            return value
    raise BackboneCorrupt(f"The config.json of {name} has no {keys[0]}: it is not an encoder.", backbone=name)


def _largest_window(config: Mapping[str, object]) -> int:
    positions = config.get("max_position_embeddings")
    if not isinstance(positions, int) or positions <= 4:
        return FALLBACK_WINDOW
    return positions - 2 if config.get("model_type") in _OFFSET_POSITIONS else positions


def _trained_window(folder: Path) -> int:
    """What sentence-transformers notes beside the model: how long the texts were that it was trained on."""
    try:
        value = json.loads((folder / "sentence_bert_config.json").read_text()).get("max_seq_length")
    except (OSError, ValueError, AttributeError):
        return 0
    return value if isinstance(value, int) and value > 0 else 0
