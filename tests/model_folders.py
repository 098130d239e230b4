"""Model folders that are written without torch: a good tiny BERT, and ways to damage it."""

import json
import math
import os
import shutil
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

HIDDEN, VOCABULARY = 8, 12
CONFIG: dict[str, Any] = {
    "architectures": ["BertModel"],
    "model_type": "bert",
    "num_hidden_layers": 1,
    "hidden_size": HIDDEN,
    "num_attention_heads": 2,
    "intermediate_size": 2 * HIDDEN,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 32,
}
SHAPES: dict[str, tuple[int, ...]] = {
    "embeddings.word_embeddings.weight": (VOCABULARY, HIDDEN),
    "encoder.layer.0.attention.self.query.weight": (HIDDEN, HIDDEN),
    "encoder.layer.0.attention.self.value.weight": (HIDDEN, HIDDEN),
    "encoder.layer.0.intermediate.dense.weight": (2 * HIDDEN, HIDDEN),
}
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film", "the", "a", "is", "plot"]


def header_of(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    header: dict[str, Any] = {}
    end = 0
    for name, shape in shapes.items():
        begin, end = end, end + 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [begin, end]}
    return header


def safetensors(header: object, data_bytes: int) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(data_bytes)


def weights(shapes: Mapping[str, tuple[int, ...]] = SHAPES) -> bytes:
    return safetensors(header_of(shapes), sum(4 * math.prod(shape) for shape in shapes.values()))


def make_folder(
    folder: Path, *, config: Mapping[str, Any] = CONFIG, shapes: Mapping[str, tuple[int, ...]] = SHAPES
) -> Path:
    """A good tiny BERT, or one with another configuration or other tensors."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    (folder / "model.safetensors").write_bytes(weights(shapes))
    return folder


def _weights(content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / "model.safetensors").write_bytes(content)


def _one_tensor(**changes: Any) -> Callable[[Path], object]:
    """A file whose first tensor is changed."""
    header = header_of(SHAPES)
    first = header[next(iter(SHAPES))]
    first.update(changes)
    for name, value in changes.items():
        if value is None:
            del first[name]
    return _weights(safetensors(header, len(weights())))


def _config(content: bytes | Mapping[str, Any]) -> Callable[[Path], object]:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return lambda folder: (folder / "config.json").write_bytes(text)


def _index(places: object, metadata: object = {}) -> Callable[[Path], object]:
    def damage(folder: Path) -> None:
        os.rename(folder / "model.safetensors", folder / "model-00001-of-00002.safetensors")
        index = {"weight_map": places} | ({} if metadata is None else {"metadata": metadata})
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))

    return damage


def _instead(name: str, content: bytes = b"GGUF") -> Callable[[Path], object]:
    def damage(folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        (folder / name).write_bytes(content)

    return damage


def _special(name: str, make: Callable[[Path], object]) -> Callable[[Path], object]:
    def damage(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        make(folder / name)

    return damage


def _without(*names: str) -> Callable[[Path], object]:
    def damage(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return damage


def _tokenizer(content: object) -> Callable[[Path], object]:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return lambda folder: (folder / "tokenizer.json").write_bytes(text)


def _empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def _moved_down(folder: Path) -> None:
    (folder / "inner").mkdir()
    for name in ("config.json", "vocab.txt", "model.safetensors"):
        os.rename(folder / name, folder / "inner" / name)


ADDED: dict[str, Any] = {"id": 0, "content": "new"} | dict.fromkeys(
    ("single_word", "lstrip", "rstrip", "normalized", "special"), False
)
WORDS_JSON: dict[str, Any] = {
    "version": "1.0",
    "added_tokens": [],
    "model": {"type": "WordLevel", "vocab": {word: at for at, word in enumerate(WORDS)}, "unk_token": "[UNK]"},
}
"""A good tokenizer.json."""
_TEMPLATE: dict[str, Any] = {
    "type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "pair": [],
    "special_tokens": {},
}
_MERGED = {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "c": 3, "d": 4, "e": 5}, "merges": [["a", "z"]]}


def _shaped(**shapes: tuple[int, ...]) -> Callable[[Path], object]:
    """Weights, some of which have other shapes."""
    changed = {name: shapes.get(name.split(".")[-2], shape) for name, shape in SHAPES.items()}
    return _weights(weights(changed))


_GOOD = weights()
_LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 90868376\n"
_FIRST = next(iter(SHAPES))
_DEEP = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
_TWO_SHARDS = {_FIRST: "model-00001-of-00002.safetensors", "x": "model-00002-of-00002.safetensors"}

# Change to a good folder -> a word that the reason must contain.
DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "lfs_pointer": (_weights(_LFS), "Git LFS"),
    "empty_weights": (_weights(b""), "empty"),
    "half_copied": (_weights(_GOOD[: len(_GOOD) // 2]), "truncated"),
    "only_the_length": (_weights(_GOOD[:8]), "truncated"),
    "three_bytes": (_weights(_GOOD[:3]), "truncated"),
    "header_of_2_to_the_62": (_weights(struct.pack("<Q", 1 << 62) + b"{}"), "header"),
    "header_above_the_limit": (_weights(struct.pack("<Q", 1 << 27) + b"{}"), "header"),
    "header_is_not_json": (_weights(struct.pack("<Q", 4) + b"nope"), "header"),
    "header_is_a_list": (_weights(safetensors([1], 0)), "list"),
    "header_is_deep": (_weights(struct.pack("<Q", len(_DEEP)) + _DEEP), "deeply"),
    "header_is_latin_1": (_weights(struct.pack("<Q", 7) + b'{"\xe9":1}'[:7]), "header"),
    "no_tensor": (_weights(safetensors({}, 0)), "no tensors"),
    "tensor_is_a_number": (_weights(safetensors({"a": 1}, 0)), "tensor 'a'"),
    "no_dtype": (_one_tensor(dtype=None), "dtype"),
    "unknown_dtype": (_one_tensor(dtype="Q4"), "dtype"),
    "no_shape": (_one_tensor(shape=None), "shape"),
    "shape_of_texts": (_one_tensor(shape=["8", "8"]), "shape"),
    "negative_shape": (_one_tensor(shape=[-8, -12]), "shape"),
    "huge_shape": (_one_tensor(shape=[2**52, 2**52]), "shape"),
    "shape_of_a_thousand": (_one_tensor(shape=[2] * 1000), "shape"),
    "no_offsets": (_one_tensor(data_offsets=None), "data_offsets"),
    "falling_offsets": (_one_tensor(data_offsets=[8, 0]), "data_offsets"),
    "offsets_out_of_range": (
        _one_tensor(data_offsets=[1 << 40, (1 << 40) + 4 * VOCABULARY * HIDDEN]),
        "model.safetensors",
    ),
    "overlapping_offsets": (
        _weights(safetensors({name: {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} for name in "ab"}, 8)),
        "overlaps",
    ),
    "bytes_after_the_end": (_weights(_GOOD + b"more"), "after its last"),
    "web_page": (_weights(b"<!DOCTYPE html><html>404</html>"), "web page"),
    "config_empty": (_config(b""), "empty"),
    "config_broken": (_config(b'{"model_type": "bert"'), "not JSON"),
    "config_list": (_config(b"[1, 2]"), "list"),
    "config_null": (_config(b"null"), "null"),
    "config_latin_1": (_config(b'{"model_type": "b\xe9rt"}'), "UTF-8"),
    "config_utf_16": (_config('{"model_type": "bert"}'.encode("utf-16")), "UTF-8"),
    "config_deep": (_config(_DEEP), "deeply"),
    "config_lfs_pointer": (_config(_LFS), "Git LFS"),
    "config_huge": (_config(b" " * (17 << 20)), "larger"),
    "config_huge_number": (_config(b'{"model_type": "bert", "hidden_size": ' + b"9" * 5000 + b"}"), "config.json"),
    "architectures_number": (_config(CONFIG | {"architectures": 5}), "architectures"),
    "architectures_of_numbers": (_config(CONFIG | {"architectures": [5]}), "architectures"),
    "layers_text": (_config(CONFIG | {"num_hidden_layers": "x"}), "num_hidden_layers"),
    "layers_list": (_config(CONFIG | {"num_hidden_layers": [1]}), "num_hidden_layers"),
    "layers_true": (_config(CONFIG | {"num_hidden_layers": True}), "num_hidden_layers"),
    "layers_negative": (_config(CONFIG | {"num_hidden_layers": -1}), "num_hidden_layers"),
    "more_layers_than_weights": (_config(CONFIG | {"num_hidden_layers": 10**6}), "num_hidden_layers"),
    "size_text": (_config(CONFIG | {"intermediate_size": "16"}), "intermediate_size '16', which is not an integer"),
    "size_negative": (_config(CONFIG | {"type_vocab_size": -1}), "type_vocab_size -1, which is negative"),
    "embedding_of_other_vectors": (_config(CONFIG | {"hidden_size": 2 * HIDDEN}), "hidden_size 16"),
    "share_text": (
        _config(CONFIG | {"hidden_dropout_prob": "0.1"}),
        "hidden_dropout_prob '0.1', which is not a number",
    ),
    "share_above_one": (_config(CONFIG | {"attention_probs_dropout_prob": 7}), "not between 0 and 1"),
    "epsilon_nan": (_config(CONFIG | {"layer_norm_eps": math.nan}), "layer_norm_eps nan, which is not a finite number"),
    "epsilon_negative": (_config(CONFIG | {"layer_norm_eps": -1.0}), "layer_norm_eps -1.0, which is negative"),
    "activation_unknown": (_config(CONFIG | {"hidden_act": "golu"}), "not the name of an activation"),
    "activation_null": (_config(CONFIG | {"hidden_act": None}), "hidden_act null, which is not a string"),
    "token_id_text": (_config(CONFIG | {"pad_token_id": "0"}), "not an integer or null"),
    "truth_text": (_config(CONFIG | {"tie_word_embeddings": "x"}), "not true or false"),
    "heads_that_do_not_divide": (
        _config(CONFIG | {"num_attention_heads": 3}),
        "num_attention_heads 3, which does not divide hidden_size 8",
    ),
    "heads_missing": (
        _config({name: value for name, value in CONFIG.items() if name != "num_attention_heads"}),
        "num_attention_heads 12, which does not divide",
    ),
    "inner_size_of_another": (
        _config(CONFIG | {"intermediate_size": 24}),
        "bert.encoder.layer.0.intermediate.dense.weight of shape 16 x 8, but config.json has intermediate_size 24, so it "
        "would be 24 x 8",
    ),
    "query_of_another_size": (_shaped(query=(HIDDEN, 6)), "of shape 8 x 6, but config.json has hidden_size 8"),
    "query_of_one_dimension": (
        _shaped(query=(HIDDEN,)),
        "query.weight of shape 8, but config.json has hidden_size 8, so it would be 8 x 8",
    ),
    "end_token_text": (_config(CONFIG | {"eos_token_id": "x"}), "eos_token_id 'x', which is not a token id"),
    "rotary_text": (_config(CONFIG | {"rope_scaling": "linear"}), "rope_scaling 'linear', which is not an object"),
    "rotary_of_unknown_type": (_config(CONFIG | {"rope_scaling": {"type": "spiral"}}), "'spiral' as rope_type"),
    "rotary_without_factor": (
        _config(CONFIG | {"rope_parameters": {"rope_type": "yarn"}}),
        "no factor in rope_parameters",
    ),
    "rotary_of_zero": (_config(CONFIG | {"rope_theta": 0}), "config.json has 0 as rope_theta, which is not above 0"),
    "layer_types_unknown": (_config(CONFIG | {"layer_types": ["round"]}), "'round' in layer_types"),
    "layer_types_too_many": (_config(CONFIG | {"layer_types": ["full_attention"] * 2}), "2 entries in layer_types"),
    "metadata_of_numbers": (
        _weights(safetensors({"__metadata__": {"format": 5}, **header_of(SHAPES)}, 0)),
        "__metadata__",
    ),
    "quantisation_text": (_config(CONFIG | {"quantization_config": "4bit"}), "quantization_config"),
    "quantised_by_gptq": (_config(CONFIG | {"quantization_config": {"quant_method": "gptq"}}), "gptq"),
    "id2label_list": (_config(CONFIG | {"id2label": ["a"]}), "id2label"),
    "kind_missing": (_config({**CONFIG, "model_type": None}), "model_type"),
    "kind_number": (_config(CONFIG | {"model_type": 7}), "model_type"),
    "kind_unknown": (_config(CONFIG | {"model_type": "bort"}), "bort"),
    "kind_vision": (_config(CONFIG | {"model_type": "vit"}), "vit"),
    "kind_audio": (_config(CONFIG | {"model_type": "whisper"}), "whisper"),
    "kind_is_huge": (_config(CONFIG | {"model_type": "b" * 100_000}), "model_type"),
    "own_code": (_config(CONFIG | {"model_type": "mine", "auto_map": {"AutoModel": "m.M"}}), "auto_map"),
    "weights_named_outside": (
        _config(CONFIG | {"transformers_weights": "../good/model.safetensors"}),
        "transformers_weights",
    ),
    "weights_named_missing": (_config(CONFIG | {"transformers_weights": "other.safetensors"}), "missing"),
    "pickle_only": (_instead("pytorch_model.bin", b"PK"), "pickle"),
    "pickle_index_only": (
        _instead("pytorch_model.bin.index.json", b'{"weight_map": {"a": "../e1/pytorch_model.bin"}}'),
        "no weights",
    ),
    "gguf_only": (_instead("model.Q4_K_M.gguf"), "GGUF"),
    "onnx_only": (_instead("model.onnx"), "ONNX"),
    "no_weights": (_without("model.safetensors"), "no weights"),
    "other_name": (_instead("weights.safetensors", _GOOD), "weights.safetensors"),
    "consolidated_only": (_instead("consolidated.safetensors", _GOOD), "consolidated.safetensors"),
    "adapter_only": (_instead("adapter_model.safetensors", _GOOD), "adapter"),
    "adapter_next_to_it": (lambda folder: (folder / "adapter_config.json").write_text("{}"), "adapter"),
    "shard_missing": (_index(_TWO_SHARDS), "model-00002-of-00002.safetensors"),
    "index_outside": (_index({_FIRST: "../good/model.safetensors"}), "outside"),
    "index_absolute": (_index({_FIRST: "/etc/passwd"}), "outside"),
    "index_of_pickles": (_index({_FIRST: "pytorch_model-00001.bin"}), "safetensors"),
    "index_of_numbers": (_index({_FIRST: 5}), "index"),
    "index_empty": (_index({}), "weight_map"),
    "index_list": (_index([1]), "weight_map"),
    "index_without_metadata": (_index({_FIRST: "model-00001-of-00002.safetensors"}, None), "metadata"),
    "no_tokenizer": (_without("vocab.txt"), "tokenizer"),
    "sentencepiece_only": (
        lambda folder: (folder / "vocab.txt").rename(folder / "spiece.model").write_bytes(b"\n\x05"),
        "sentencepiece",
    ),
    "vocabulary_of_another_class": (
        lambda folder: os.rename(folder / "vocab.txt", folder / "vocab.json"),
        "vocab.json",
    ),
    "tokenizer_broken": (_tokenizer(b'{"model": '), "tokenizer.json"),
    "tokenizer_list": (_tokenizer([]), "tokenizer.json"),
    "tokenizer_without_model": (_tokenizer({"version": "1.0"}), "tokenizer.json"),
    "tokenizer_deep": (_tokenizer(_DEEP), "deeply"),
    "tokenizer_ids_of_texts": (_tokenizer({"model": {"vocab": {"a": "1"}}}), "tokenizer.json"),
    "tokenizer_above_the_embedding": (
        _tokenizer(
            WORDS_JSON | {"model": WORDS_JSON["model"] | {"vocab": {"[UNK]": 1, "b": 2, "d": 3, "c": VOCABULARY}}}
        ),
        "embedding",
    ),
    "added_token_above_the_embedding": (
        _tokenizer(
            WORDS_JSON | {"added_tokens": [ADDED | {"id": VOCABULARY}]},
        ),
        "embedding",
    ),
    "tokenizer_of_another_version": (_tokenizer({"version": "2.0", "model": {"vocab": {}}}), "version"),
    "tokenizer_of_unknown_type": (_tokenizer({"model": {"type": "Letters", "vocab": {}}}), "model.type"),
    "tokenizer_with_a_negative_id": (
        _tokenizer({"model": {"vocab": {"a": 1, "b": 2, "c": -1}}}),
        "an integer of 0 or more",
    ),
    "tokenizer_of_nothing_but_special_tokens": (
        _tokenizer(
            {
                "model": {"vocab": {"[UNK]": 0, "good": 1, "[X]": 2, "[Y]": 3}},
                "added_tokens": [
                    {"id": 2, "content": "[X]", "special": True},
                    {"id": 3, "content": "[Y]", "special": True},
                ],
            }
        ),
        "every word would be unknown",
    ),
    "tokenizer_with_a_broken_part": (
        _tokenizer(WORDS_JSON | {"padding": {"strategy": "wide"}}),
        "tokenizer.json is not valid in padding (",
    ),
    "merges_of_unknown_tokens": (_tokenizer(WORDS_JSON | {"model": _MERGED}), "tokenizer.json is not valid in model ("),
    "template_without_its_token": (_tokenizer(WORDS_JSON | {"post_processor": _TEMPLATE}), "'[CLS]' to texts"),
    "added_token_without_an_id": (
        _tokenizer(WORDS_JSON | {"added_tokens": [{**ADDED, "id": None}]}),
        "id null in added_tokens[0], not an integer",
    ),
    "added_token_without_a_flag": (
        _tokenizer(WORDS_JSON | {"added_tokens": [{**ADDED, "lstrip": "no"}]}),
        "lstrip 'no' in added_tokens[0], not true or false",
    ),
    "unknown_token_empty": (
        lambda folder: (folder / "tokenizer_config.json").write_text('{"unk_token": ""}'),
        "an empty string as unk_token",
    ),
    "setting_of_another_type": (
        lambda folder: (folder / "tokenizer_config.json").write_text('{"do_lower_case": "yes"}'),
        "a string as do_lower_case, not true or false",
    ),
    "added_tokens_of_numbers": (_tokenizer({"model": {"vocab": {}}, "added_tokens": [5]}), "added_tokens"),
    "vocabulary_of_special_tokens": (
        lambda folder: (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nfilm\n"),
        "every word would be unknown",
    ),
    "vocabulary_in_latin_1": (
        lambda folder: (folder / "vocab.txt").write_bytes("\n".join([*WORDS[:-1], "café"]).encode("latin-1")),
        "UTF-8",
    ),
    "special_tokens_broken": (
        lambda folder: (folder / "special_tokens_map.json").write_bytes(_LFS),
        "Git LFS",
    ),
    "special_token_of_numbers": (
        lambda folder: (folder / "special_tokens_map.json").write_text('{"pad_token": {"content": 5}}'),
        "pad_token",
    ),
    "padding_on_no_side": (
        lambda folder: (folder / "tokenizer_config.json").write_text('{"padding_side": "up"}'),
        "padding_side",
    ),
    "added_tokens_without_ids": (
        lambda folder: (folder / "tokenizer_config.json").write_text(
            '{"added_tokens_decoder": {"a": {"content": "b"}}}'
        ),
        "added_tokens_decoder",
    ),
    "vocabulary_above_the_embedding": (
        lambda folder: (folder / "vocab.txt").write_text("\n".join([*WORDS, "more"])),
        "embedding",
    ),
    "embedding_of_another_size": (_config(CONFIG | {"vocab_size": 2 * VOCABULARY}), "vocab_size"),
    "tokenizer_config_list": (
        lambda folder: (folder / "tokenizer_config.json").write_text("[]"),
        "tokenizer_config.json",
    ),
    "tokenizer_class_number": (
        lambda folder: (folder / "tokenizer_config.json").write_text('{"tokenizer_class": 5}'),
        "tokenizer_class",
    ),
    "tokenizer_of_own_code": (
        lambda folder: (folder / "tokenizer_config.json").write_text(
            '{"tokenizer_class": "MyTokenizer", "auto_map": {"AutoTokenizer": ["t.MyTokenizer", null]}}'
        ),
        "auto_map",
    ),
    "wrapped_names": (_weights(weights({f"module.bert.{name}": shape for name, shape in SHAPES.items()})), "'module.'"),
    "compiled_names": (
        _weights(weights({f"_orig_mod.{name}": shape for name, shape in SHAPES.items()})),
        "'_orig_mod.'",
    ),
    "lora_names": (_weights(weights({"base_model.model.a.lora_A.weight": (2, 8)})), "adapter"),
    "names_of_another_model": (_weights(weights({"wte.weight": (4, 4), "h.0.x.weight": (4, 4)})), "no weight"),
    "config_is_a_pipe": (_special("config.json", os.mkfifo), "pipe"),
    "weights_are_a_pipe": (_special("model.safetensors", os.mkfifo), "pipe"),
    "vocabulary_is_a_pipe": (_special("vocab.txt", os.mkfifo), "pipe"),
    "config_is_a_device": (_special("config.json", lambda path: path.symlink_to("/dev/zero")), "device"),
    "weights_are_a_device": (_special("model.safetensors", lambda path: path.symlink_to("/dev/zero")), "device"),
    "config_is_a_folder": (_special("config.json", Path.mkdir), "folder"),
    "config_is_a_dangling_link": (_special("config.json", lambda path: path.symlink_to("nowhere")), "broken link"),
    "weights_are_a_dangling_link": (
        _special("model.safetensors", lambda path: path.symlink_to("nowhere")),
        "broken link",
    ),
    "link_to_itself": (_special("config.json", lambda path: path.symlink_to(path.name)), "config.json"),
    "empty_folder": (_empty, "empty folder"),
    "model_in_a_sub_folder": (_moved_down, "inner"),
    "no_config": (_without("config.json"), "config.json"),
}
