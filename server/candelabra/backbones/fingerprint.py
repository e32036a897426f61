"""The name that heads are bound to: equal fingerprints give equal features, to float tolerance."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from candelabra.backbones.backbone import Backbone
from candelabra.backbones.catalogue import with_weights
from candelabra.backbones.digest import remembered, sha256

POOLING = "mean+cls/1"
"""The scheme by which slots are pooled and windows combined; raised when it changes what a feature is."""

TOKENIZER_FILES = (
    "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt", "vocab.json", "merges.txt",
    "sentencepiece.bpe.model", "spiece.model", "spm.model",
)  # fmt: skip


def fingerprint(backbone: Backbone, precision: str, engine: str = "torch") -> str:
    """Like `all-minilm-l6-v2-fp32-1a2b3c4d5e6f7a8b`. Where the folder lies and what it is called play no part."""
    files = {path.name: _digest(backbone, path) for path in _files(backbone.path)}
    facts = {
        "files": files,
        "precision": precision,
        "engine": engine,
        "window": backbone.window,
        "pooling": POOLING,
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return f"{_prefix(backbone, files)}-{precision}-{digest[:16]}"


def _files(folder: Path) -> list[Path]:
    """Weights, configuration, and tokenizer.json, or what a tokenizer is made from where that is absent."""
    tokenizer = [folder / "tokenizer.json"]
    if not tokenizer[0].exists():
        tokenizer = [folder / name for name in TOKENIZER_FILES]
    wanted = [*folder.glob("*.safetensors"), folder / "config.json", *tokenizer]
    return sorted(path for path in wanted if path.is_file())


def _digest(backbone: Backbone, path: Path) -> str:
    # Only in our own cache may a digest be remembered: a folder of the user's is not ours to write in.
    return remembered(backbone.path, path.name) if backbone.entry else sha256(path)


def _prefix(backbone: Backbone, files: dict[str, str]) -> str:
    entry = next((known for digest in files.values() if (known := with_weights(digest))), None)
    return entry.name.lower() if entry else f"{backbone.architecture}-{backbone.layers}x{backbone.dimension}"
