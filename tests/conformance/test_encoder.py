"""What every encoder must keep: the tiny one, torch on small models of many kinds, on the default one, on CUDA."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
import torch
import transformers

from candelabra.backbones import DEFAULT, resolve
from candelabra.engine.encoder import Encoded, Encoder
from candelabra.engine.tokenizer import Tokenizer
from candelabra.engine.torch_encoder import TorchEncoder
from candelabra.engine.window import Window
from candelabra.errors import BackboneCorrupt, BackboneUnavailable, InvalidArgument
from candelabra.settings import read
from candelabra.testing import TinyEncoder, tiny_tokenizer
from candelabra.types import LongText, Slot

WORDS = tuple("abcdefghijklmnopqrst")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
COMMON = {"vocab_size": len(SPECIAL) + len(WORDS), "pad_token_id": 0}
SMALL = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48}

ARCHITECTURES: dict[str, Callable[[], transformers.PretrainedConfig]] = {
    "bert": lambda: transformers.BertConfig(**COMMON, **SMALL, max_position_embeddings=64),
    "roberta": lambda: transformers.RobertaConfig(
        **COMMON, **SMALL, max_position_embeddings=66, type_vocab_size=1
    ),
    "distilbert": lambda: transformers.DistilBertConfig(
        **COMMON, dim=32, n_layers=3, n_heads=4, hidden_dim=48, max_position_embeddings=64
    ),
    "mpnet": lambda: transformers.MPNetConfig(**COMMON, **SMALL, max_position_embeddings=66),
    "xlm-roberta": lambda: transformers.XLMRobertaConfig(**COMMON, **SMALL, max_position_embeddings=66),
    "modernbert": lambda: transformers.ModernBertConfig(
        **COMMON, **SMALL, max_position_embeddings=64, local_attention=16, cls_token_id=2, sep_token_id=3,
        bos_token_id=2, eos_token_id=3,
    ),
    "deberta-v2": lambda: transformers.DebertaV2Config(
        **COMMON, **SMALL, max_position_embeddings=64, relative_attention=True, pos_att_type=["p2c", "c2p"]
    ),
}  # fmt: skip


def write_tokenizer(folder: Path) -> None:
    vocabulary = {word: at for at, word in enumerate((*SPECIAL, *WORDS))}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.save(str(folder / "tokenizer.json"))


def write_model(name: str, folder: Path) -> Path:
    torch.manual_seed(3)
    transformers.AutoModel.from_config(ARCHITECTURES[name]()).eval().save_pretrained(folder)
    write_tokenizer(folder)
    return folder


def window(*ids: int) -> Window:
    return Window(np.array(ids, np.int32))


Subject = tuple[Encoder, Tokenizer]
SUBJECTS = ("tiny", *ARCHITECTURES, "default", "cuda")


@pytest.fixture(scope="module", params=SUBJECTS)
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    """An encoder with its tokenizer."""
    name: str = request.param
    threads = torch.get_num_threads()
    cache = read().cache
    if name == "tiny":
        yield TinyEncoder(), tiny_tokenizer()
        return
    if name == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    if name in ARCHITECTURES:
        backbone = resolve(str(write_model(name, tmp_path_factory.mktemp(name))), cache)
    else:
        try:
            backbone = resolve(DEFAULT, cache)
        except BackboneUnavailable as error:
            pytest.skip(error.message)
    device, precision = ("cuda", "auto") if name == "cuda" else ("cpu", "fp32")
    yield TorchEncoder.load(backbone, device, precision, 1), Tokenizer.load(backbone, overlap=8, max_windows=4)
    torch.set_num_threads(threads)


@pytest.fixture
def texts() -> list[str]:
    cycle = itertools.cycle(WORDS)
    return [" ".join(itertools.islice(cycle, count)) for count in (1, 3, 14, 7, 40, 2, 0)]


def windows_of(subject: Subject, texts: list[str]) -> list[Window]:
    return [one.windows[0] for one in subject[1].split(texts, LongText.TRUNCATE)]


def pairs_of(subject: Subject, texts: list[str]) -> list[Window]:
    """Every text as the first and as the second of a pair."""
    pairs = subject[1].split_pairs([*texts, texts[0]], [texts[-2], *texts], LongText.TRUNCATE)
    return [one.windows[0] for one in pairs]


def every_slot(encoder: Encoder) -> list[Slot]:
    return [Slot(layer, pooling) for layer in range(encoder.info.layers + 1) for pooling in ("mean", "cls")]


def tolerance(encoder: Encoder) -> float:
    return 2e-5 if encoder.info.precision == "fp32" else 6e-2


def test_a_text_alone_is_a_text_in_company(subject: Subject, texts: list[str]) -> None:
    encoder = subject[0]
    ids, slots = windows_of(subject, texts), every_slot(encoder)
    together = encoder.encode(ids, slots).pooled
    assert together.shape == (len(ids), len(slots), encoder.info.dimension)
    assert together.dtype == np.float32
    assert np.isfinite(together).all()
    alone = np.concatenate([encoder.encode([one], slots).pooled for one in ids])
    np.testing.assert_allclose(together, alone, atol=tolerance(encoder), rtol=tolerance(encoder))


def test_order_of_the_batch_plays_no_part(subject: Subject, texts: list[str]) -> None:
    encoder = subject[0]
    ids, slots = windows_of(subject, texts), [Slot(encoder.info.layers, "mean")]
    turned = encoder.encode(ids[::-1], slots).pooled[::-1]
    np.testing.assert_allclose(
        turned, encoder.encode(ids, slots).pooled, atol=tolerance(encoder), rtol=tolerance(encoder)
    )


def test_a_slot_does_not_depend_on_which_others_are_asked(subject: Subject, texts: list[str]) -> None:
    encoder = subject[0]
    ids, slots = windows_of(subject, texts), every_slot(encoder)
    all_at_once = encoder.encode(ids, slots).pooled
    for at, slot in enumerate(slots):
        one = encoder.encode(ids, [slot]).pooled[:, 0]
        np.testing.assert_allclose(one, all_at_once[:, at], atol=1e-6, rtol=1e-6, err_msg=str(slot))


def test_layers_and_poolings_differ(subject: Subject, texts: list[str]) -> None:
    encoder = subject[0]
    ids = windows_of(subject, texts)[2:3]
    vectors = encoder.encode(ids, every_slot(encoder)).pooled[0]
    for left, right in itertools.combinations(range(len(vectors)), 2):
        assert not np.allclose(vectors[left], vectors[right], atol=1e-4), (left, right)


def test_another_pass_in_the_middle_changes_neither(subject: Subject, texts: list[str]) -> None:
    encoder = subject[0]
    ids, slots, close = windows_of(subject, texts), every_slot(encoder), tolerance(encoder)
    plain = encoder.encode(ids, slots).pooled
    within: list[np.ndarray] = []

    def urgent() -> None:
        within.append(encoder.encode(ids[:2], slots[-1:]).pooled)
        within.append(encoder.encode(ids[:2], slots).pooled)

    around = encoder.encode(ids, slots, aside=urgent).pooled
    np.testing.assert_allclose(around, plain, atol=close, rtol=close)
    assert len(within) >= 2 * (encoder.info.layers if isinstance(encoder, TorchEncoder) else 1)
    for last, every in zip(within[::2], within[1::2], strict=True):
        np.testing.assert_allclose(last[:, 0], plain[:2, -1], atol=close, rtol=close)
        np.testing.assert_allclose(every, plain[:2], atol=close, rtol=close)


def test_no_slots_and_no_texts(subject: Subject) -> None:
    encoder = subject[0]
    slot = Slot(encoder.info.layers, "cls")
    assert encoder.encode([window(1, 2)], []).pooled.shape == (1, 0, encoder.info.dimension)
    assert encoder.encode([], [slot]).pooled.shape == (0, 1, encoder.info.dimension)
    assert encoder.encode([], [slot], [0], []).states == {}


def test_a_full_window_fits(subject: Subject) -> None:
    encoder, tokenizer = subject
    read_as = tokenizer.split([" ".join(WORDS * 60)], LongText.WINDOWS)[0]
    assert len(read_as.windows) > 1
    assert max(map(len, read_as.windows)) == encoder.info.window
    assert np.isfinite(encoder.encode(read_as.windows, [Slot(encoder.info.layers, "mean")]).pooled).all()


def test_pooled_vectors_are_those_of_the_states_of_real_tokens(subject: Subject, texts: list[str]) -> None:
    encoder, layers = subject[0], [subject[0].info.layers, 0, 1]
    windows = [*windows_of(subject, texts), *pairs_of(subject, texts)]
    made = encoder.encode(windows, every_slot(encoder), layers, range(len(windows)))
    pooled = encoder.encode(windows, [Slot(layer, "mean") for layer in layers]).pooled
    for at, one in enumerate(windows):
        assert made.states[at].shape == (len(one), len(layers), encoder.info.dimension)
        assert made.states[at].dtype == np.float32
        np.testing.assert_allclose(
            made.states[at].mean(axis=0), pooled[at], atol=tolerance(encoder), rtol=tolerance(encoder)
        )
    np.testing.assert_allclose(made.pooled, encoder.encode(windows, every_slot(encoder)).pooled, atol=1e-6, rtol=1e-6)


def test_states_are_of_the_windows_that_were_asked_and_alike_in_any_company(subject: Subject, texts: list[str]) -> None:
    encoder = subject[0]
    windows = [*windows_of(subject, texts), *pairs_of(subject, texts)]
    wanted = [1, 4, len(windows) - 1]
    made = encoder.encode(windows, [], [1, 0], wanted)
    assert sorted(made.states) == wanted
    assert made.pooled.shape == (len(windows), 0, encoder.info.dimension)
    for at in wanted:
        alone = encoder.encode([windows[at]], [], [1, 0], [0]).states[0]
        np.testing.assert_allclose(made.states[at], alone, atol=tolerance(encoder), rtol=tolerance(encoder))


def test_a_pair_alone_is_a_pair_in_company(subject: Subject, texts: list[str]) -> None:
    encoder = subject[0]
    windows, slots = [*pairs_of(subject, texts), *windows_of(subject, texts)], every_slot(encoder)
    together = encoder.encode(windows, slots).pooled
    alone = np.concatenate([encoder.encode([one], slots).pooled for one in windows])
    np.testing.assert_allclose(together, alone, atol=tolerance(encoder), rtol=tolerance(encoder))


def test_it_is_frozen(subject: Subject) -> None:
    encoder = subject[0]
    if not isinstance(encoder, TorchEncoder):
        pytest.skip("has no parameters")
    assert not encoder.model.training
    assert not any(parameter.requires_grad for parameter in encoder.model.parameters())


def test_the_default_backbone_agrees_with_plain_transformers() -> None:
    try:
        backbone = resolve(DEFAULT, read().cache)
    except BackboneUnavailable as error:
        pytest.skip(error.message)
    plain = transformers.AutoModel.from_pretrained(backbone.path, use_safetensors=True).eval()
    encoder, tokenizer = TorchEncoder.load(backbone, "cpu", "fp32", 1), Tokenizer.load(backbone)
    [single] = tokenizer.split(["the barn burned down"], LongText.TRUNCATE)
    [pair] = tokenizer.split_pairs(["the barn burned down"], ["nobody was inside"], LongText.TRUNCATE)
    assert (single.windows[0].second, pair.windows[0].second) == (0, 6)
    for at, window in enumerate((single.windows[0], pair.windows[0])):
        ids = torch.tensor([window.ids.tolist()])
        types = torch.tensor([[0] * 6 + [1] * (ids.shape[1] - 6)])
        with torch.no_grad():
            wanted = plain(input_ids=ids, token_type_ids=types, output_hidden_states=True).hidden_states
        slots = [Slot(6, "mean"), Slot(3, "cls")]
        found = encoder.encode([single.windows[0], pair.windows[0]], slots, (6, 2, 0), (0, 1))
        np.testing.assert_allclose(found.pooled[at, 0], wanted[6][0].mean(dim=0), atol=2e-6)
        np.testing.assert_allclose(found.pooled[at, 1], wanted[3][0, 0], atol=2e-6)
        for column, layer in enumerate((6, 2, 0)):
            np.testing.assert_allclose(found.states[at][:, column], wanted[layer][0], atol=4e-6)


@pytest.mark.parametrize("name", ["bert", "roberta", "distilbert", "modernbert"])
def test_token_types_are_told_to_models_that_know_them(name: str, tmp_path: Path) -> None:
    encoder = TorchEncoder.load(resolve(str(write_model(name, tmp_path)), tmp_path), "cpu", "fp32", 1)
    ids, slots = np.array([2, 5, 6, 3, 7, 8, 3], np.int32), [Slot(3, "mean")]
    alone, joined = (encoder.encode([Window(ids, second)], slots).pooled for second in (0, 4))
    assert np.allclose(alone, joined, atol=1e-6) == (name != "bert")
    if name == "bert":
        types = torch.tensor([[0, 0, 0, 0, 1, 1, 1]])
        with torch.no_grad():
            wanted = encoder.model(input_ids=torch.tensor([ids.tolist()]), token_type_ids=types).last_hidden_state
        np.testing.assert_allclose(joined[0, 0], wanted[0].mean(dim=0), atol=1e-6)


def test_weights_that_are_missing_are_not_made_up(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = write_model("bert", tmp_path)
    weights = load_file(folder / "model.safetensors")
    save_file({k: v for k, v in weights.items() if "layer.2." not in k}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(BackboneCorrupt, match="lacks"):
        TorchEncoder.load(resolve(str(folder), tmp_path), "cpu", "fp32", 1)


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    folder = write_model("bert", tmp_path)
    (folder / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(BackboneCorrupt):
        TorchEncoder.load(resolve(str(folder), tmp_path), "cpu", "fp32", 1)


@pytest.mark.parametrize("device", ["tpu", "cuda:99", "meta", ""])
def test_a_device_that_is_not_there_is_refused(device: str, tmp_path: Path) -> None:
    backbone = resolve(str(write_model("bert", tmp_path)), tmp_path)
    with pytest.raises(InvalidArgument, match="device"):
        TorchEncoder.load(backbone, device)


def test_running_out_of_gpu_memory_halves_the_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = TorchEncoder.load(resolve(str(write_model("bert", tmp_path)), tmp_path), "cpu", "fp32", 1)
    ids = [window(2, 5 + k % 9, *[6] * k, 3) for k in range(7)]
    slots = [Slot(3, "mean")]
    wanted = encoder.encode(ids, slots, [2, 1], [0, 2, 5, 6])
    real = encoder._encode

    def small_memory(some: list[Window], *rest: Any) -> Encoded:
        if len(some) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(some, *rest)

    monkeypatch.setattr(encoder, "_encode", small_memory)
    found = encoder.encode(ids, slots, [2, 1], [0, 2, 5, 6])
    np.testing.assert_allclose(found.pooled, wanted.pooled, atol=1e-6)
    assert found.states.keys() == wanted.states.keys()
    for at, states in wanted.states.items():
        np.testing.assert_allclose(found.states[at], states, atol=1e-6)
