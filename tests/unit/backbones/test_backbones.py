"""Fetching, checking and naming encoders, with sources and files made up by the tests."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from candelabra.backbones import CATALOGUE, DEFAULT, Backbone, Entry, fetch, find, fingerprint, hub, installed, pull
from candelabra.backbones import resolve as resolve_backbone
from candelabra.backbones import wheel as wheel_source
from candelabra.backbones.catalogue import WEIGHTS, Wheel
from candelabra.backbones.digest import SIDECAR, remembered
from candelabra.errors import BackboneCorrupt, BackboneUnavailable, UnknownBackbone

CONFIG = json.dumps(
    {"model_type": "bert", "num_hidden_layers": 2, "hidden_size": 8, "max_position_embeddings": 64}
).encode()
FILES = {WEIGHTS: b"weights" * 1000, "tokenizer.json": b"{}", "config.json": CONFIG}
ENTRY = replace(
    CATALOGUE[DEFAULT],
    name="Made-Up",
    files={name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()},
    window=32,
)


def offline(entry: Entry, folder: Path, report: Callable[[str], None]) -> None:
    raise ConnectionError("no route")


class Source:
    """Gives the files, and counts how often."""

    def __init__(self, **changed: bytes) -> None:
        self.files = {**FILES, **{name.replace("_", "."): data for name, data in changed.items()}}
        self.calls = 0

    def __call__(self, entry: Entry, folder: Path, report: Callable[[str], None]) -> None:
        self.calls += 1
        report("a line of progress")
        for name, data in self.files.items():
            (folder / name).write_bytes(data)


def use(monkeypatch: pytest.MonkeyPatch, *sources: fetch.Source) -> None:
    monkeypatch.setattr(fetch, "SOURCES", tuple((f"source {at}", source) for at, source in enumerate(sources)))


def test_it_is_fetched_once_and_then_found_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, lines = Source(), list[str]()
    use(monkeypatch, offline, source)
    folder = pull(ENTRY, tmp_path, lines.append)
    assert lines
    use(monkeypatch, offline)
    assert pull(ENTRY, tmp_path) == folder == installed(ENTRY, tmp_path)
    assert source.calls == 1
    assert {path.name for path in folder.iterdir()} == {*FILES, SIDECAR}


def test_without_any_source_the_sentence_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, offline, offline)
    with pytest.raises(BackboneUnavailable, match=r"no route.*copy model\.safetensors"):
        pull(ENTRY, tmp_path)
    assert installed(ENTRY, tmp_path) is None
    assert [path.name for path in (tmp_path / "backbones").iterdir() if path.is_dir()] == []


def test_a_source_with_other_bytes_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Source(model_safetensors=b"others"), Source())
    folder = pull(ENTRY, tmp_path)
    assert (folder / WEIGHTS).read_bytes() == FILES[WEIGHTS]


def test_only_wrong_bytes_is_no_backbone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Source(model_safetensors=b"others"))
    with pytest.raises(BackboneUnavailable, match="sha256"):
        pull(ENTRY, tmp_path)


def test_damage_in_the_cache_is_noticed_and_repaired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Source())
    folder = pull(ENTRY, tmp_path)
    (folder / WEIGHTS).write_bytes(b"bit rot")
    use(monkeypatch, offline)
    with pytest.raises(BackboneCorrupt, match="damaged"):
        pull(ENTRY, tmp_path)
    use(monkeypatch, Source())
    assert (pull(ENTRY, tmp_path) / WEIGHTS).read_bytes() == FILES[WEIGHTS]


def test_what_a_killed_pull_left_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = tmp_path / "backbones" / f"{ENTRY.name}.abc.part"
    left.mkdir(parents=True)
    (left / WEIGHTS).write_bytes(b"half")
    use(monkeypatch, Source())
    pull(ENTRY, tmp_path)
    assert not left.exists()


def test_two_pulls_at_once_fetch_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source()
    use(monkeypatch, source)
    threads = [threading.Thread(target=pull, args=(ENTRY, tmp_path)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert source.calls == 1


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def pip_gives(monkeypatch: pytest.MonkeyPatch, wheels: dict[str, bytes]) -> None:
    def download(name: str, version: str, scratch: Path) -> Path:
        path = scratch / f"{name}-{version}.whl"
        path.write_bytes(wheels[name])
        return path

    monkeypatch.setattr(wheel_source, "_pip", download)


def test_a_wheel_gives_its_data_files_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = {f"pkg/model/{name}": data for name, data in FILES.items()}
    pip_gives(monkeypatch, {"pkg": zipped({**inside, "pkg/__init__.py": b"raise SystemExit", "../evil": b"x"})})
    use(monkeypatch, wheel_source.download)
    folder = pull(replace(ENTRY, wheel=Wheel((("pkg", "1"),), ("pkg/model",))), tmp_path)
    assert {path.name for path in folder.iterdir()} == {*FILES, SIDECAR}


def test_the_pieces_of_several_wheels_are_one_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = zipped({f"made/{name}": data for name, data in FILES.items()})
    third = len(whole) // 3
    pieces = [whole[:third], whole[third : 2 * third], whole[2 * third :]]
    pip_gives(monkeypatch, {f"p{at}": zipped({f"in/{at}": piece}) for at, piece in enumerate(pieces)})
    use(monkeypatch, wheel_source.download)
    parts = Wheel(tuple((f"p{at}", "1") for at in range(3)), tuple(f"in/{at}" for at in range(3)), folder="made")
    assert installed(replace(ENTRY, wheel=parts), tmp_path) is None
    assert (pull(replace(ENTRY, wheel=parts), tmp_path) / "config.json").read_bytes() == CONFIG


def test_offline_mode_of_the_hub_library_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ConnectionError, match="HF_HUB_OFFLINE"):
        hub.download(ENTRY, tmp_path, print)


def test_names_are_found_whatever_their_capitals() -> None:
    assert find("ALL-minilm-L6-V2").name == DEFAULT
    with pytest.raises(UnknownBackbone, match=DEFAULT):
        find("no-such-thing")


def test_the_catalogue_is_pinned() -> None:
    for name, entry in CATALOGUE.items():
        assert name == entry.name
        assert len(entry.revision) == 40
        assert {WEIGHTS, "config.json", "tokenizer.json"} <= set(entry.files)
        assert all(len(digest) == 64 for digest in entry.files.values())
        if entry.wheel:
            assert len(entry.wheel.members) == len(entry.wheel.distributions)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "mine"
    made.mkdir()
    for name, data in FILES.items():
        (made / name).write_bytes(data)
    return made


def resolve(folder: Path, window: int = 0) -> Backbone:
    return resolve_backbone(str(folder), folder / "cache", window)


def test_a_folder_is_a_backbone(folder: Path) -> None:
    found = resolve(folder)
    assert (found.name, found.layers, found.dimension, found.window, found.architecture) == ("mine", 2, 8, 64, "bert")
    assert resolve(folder, window=20).window == 20
    assert resolve(folder, window=2000).window == 64
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 48}')
    assert resolve(folder).window == 48


def test_positions_after_the_padding_index_are_fewer(folder: Path) -> None:
    (folder / "config.json").write_text(
        '{"model_type": "roberta", "num_hidden_layers": 2, "hidden_size": 8, "max_position_embeddings": 514}'
    )
    assert resolve(folder).window == 512


@pytest.mark.parametrize("config", ["", "[]", "{}", '{"num_hidden_layers": -1}'])
def test_a_folder_with_a_bad_configuration_is_refused(folder: Path, config: str) -> None:
    (folder / "config.json").write_text(config)
    with pytest.raises(BackboneCorrupt):
        resolve(folder)


def test_pickled_weights_are_no_weights(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "pytorch_model.bin")
    with pytest.raises(BackboneCorrupt, match="pickled"):
        resolve(folder)


def test_the_fingerprint_follows_the_bytes_and_not_the_place(folder: Path) -> None:
    first = fingerprint(resolve(folder), "fp32")
    assert first.startswith("bert-2x8-fp32-")
    assert len(first.rsplit("-", 1)[1]) == 16
    moved = folder.rename(folder.parent / "elsewhere")
    (moved / "README.md").write_text("changed")
    assert fingerprint(resolve(moved), "fp32") == first
    others = {fingerprint(resolve(moved), "bf16"), fingerprint(resolve(moved, 32), "fp32")}
    others.add(fingerprint(resolve(moved), "fp32", "onnxruntime"))
    for name in FILES:
        original = (moved / name).read_bytes()
        (moved / name).write_bytes(original + b" ")
        others.add(fingerprint(resolve(moved), "fp32"))
        (moved / name).write_bytes(original)
    assert len(others | {first}) == 7
    assert fingerprint(resolve(moved), "fp32") == first


def test_a_remembered_digest_is_forgotten_when_the_file_changes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    assert remembered(tmp_path, "a") == hashlib.sha256(b"one").hexdigest()
    (tmp_path / "a").write_bytes(b"three")
    assert remembered(tmp_path, "a") == hashlib.sha256(b"three").hexdigest()
    (tmp_path / SIDECAR).write_text("[1, 2")
    assert remembered(tmp_path, "a") == hashlib.sha256(b"three").hexdigest()
