"""Finds a model's weight files by the rules of transformers, so that the plan reads the files that the run loads."""

from collections.abc import Iterable

from rankscope.catalog.models.files import MIB, ModelFiles, UnusableModel, shown
from rankscope.catalog.models.safetensors_header import shown_key

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
_MAX_INDEX_BYTES = 25 * MIB
_SAVE_AGAIN = (
    "Load it with transformers where you got it from, and call save_pretrained, which writes model.safetensors."
)
_OTHER_FORMATS = {
    ".bin": "PyTorch's pickle format, which can run code when it is opened",
    ".pt": "PyTorch's pickle format, which can run code when it is opened",
    ".pth": "PyTorch's pickle format, which can run code when it is opened",
    ".ckpt": "a checkpoint format that can run code when it is opened",
    ".gguf": "GGUF, a format for inference",
    ".onnx": "ONNX, a format for inference",
    ".h5": "TensorFlow's format",
    ".msgpack": "Flax's format",
    ".tflite": "TensorFlow Lite's format",
    ".mlmodel": "Core ML's format",
}


def weight_files(files: ModelFiles, config: dict[str, object]) -> tuple[str, ...]:
    """Returns the names of the model's safetensors files. Raises UnusableModel if some or all of them are missing."""
    named = config.get("transformers_weights")
    if named is not None:
        return _named_by_config(files, named)
    if SINGLE in files.regular or SINGLE in files.others or SINGLE in files.folders:
        files.require(SINGLE, "", "")
        return (SINGLE,)
    if INDEX in files.regular or INDEX in files.others:
        return _shards(files, INDEX)
    raise _no_weights(files)


def other_format(names: Iterable[str]) -> tuple[str, str] | None:
    """Returns the first file in an unsupported weight format, and that format; None if there is none."""
    for name in names:
        for ending, format_name in _OTHER_FORMATS.items():
            if name.lower().endswith(ending) and name not in ("training_args.bin", "optimizer.bin", "scheduler.bin"):
                return name, format_name
    return None


def _named_by_config(files: ModelFiles, named: object) -> tuple[str, ...]:
    if not isinstance(named, str) or not _is_plain(named) or not named.endswith((".safetensors", ".index.json")):
        raise UnusableModel(
            f"config.json names {str(named)[:80]!r} as its weights (transformers_weights), "
            "which is not the name of a safetensors file next to it",
            f"Remove transformers_weights from config.json and rename the file to {SINGLE}.",
        )
    if named.endswith(".index.json"):
        return _shards(files, named)
    files.require(named, f"{shown(named)} is missing", f"Copy {shown(named)} into the folder.")
    return (named,)


def _shards(files: ModelFiles, index_name: str) -> tuple[str, ...]:
    files.require(index_name, f"{shown(index_name)} is missing", f"Copy {shown(index_name)} into the folder.")
    index = files.read_json(index_name, _MAX_INDEX_BYTES)
    places, again = index.get("weight_map"), f"Copy {index_name} from the model again."
    if not isinstance(places, dict) or not places:
        raise UnusableModel(f"{index_name} has no weight_map", again)
    if not isinstance(index.get("metadata"), dict):
        raise UnusableModel(f"{index_name} has no metadata, which transformers requires", again)
    for key, name in places.items():
        if not isinstance(name, str) or not _is_plain(name):
            raise UnusableModel(
                f"{index_name} places tensor {shown_key(key)} in {str(name)[:80]!r}, which is not a file next to it; "
                "files outside the model's folder are never read",
                "Use an index that names files in the model's folder, or copy the model again.",
            )
        if not name.endswith(".safetensors"):
            raise UnusableModel(f"{index_name} names {shown(name)}, which is not a safetensors file", _SAVE_AGAIN)
    shards = tuple(sorted(set(places.values())))
    missing = [name for name in shards if name not in files.regular]
    if missing:
        are = "is" if len(missing) == 1 else f"and {len(missing) - 1} more are"
        raise UnusableModel(
            f"{shown(missing[0])} {are} missing, out of {len(shards)} files in {index_name}",
            f"Copy {', '.join(shown(name) for name in missing[:3])} into the folder.",
        )
    return shards


def _no_weights(files: ModelFiles) -> UnusableModel:
    names = [name for name in (*files.regular, *files.others) if name.endswith(".safetensors")]
    adapters = [name for name in names if name.startswith("adapter_")]
    if adapters or "adapter_config.json" in files.regular:
        return adapter_folder()
    if names:
        listed = ", ".join(shown(name) for name in names[:3])
        return UnusableModel(
            f"has weights in {listed}, but transformers reads {SINGLE} or the files listed in {INDEX}",
            f"Rename the file to {SINGLE} if it is the complete model in the layout of transformers. "
            f"Otherwise, {_lower(_SAVE_AGAIN)}",
        )
    other = other_format(files.regular)
    if other is not None:
        return UnusableModel(
            f"has weights only in {shown(other[0])}, which is {other[1]}; RankScope reads safetensors", _SAVE_AGAIN
        )
    return UnusableModel("has no weights: model.safetensors is missing", f"Copy {SINGLE} into the folder.")


def adapter_folder() -> UnusableModel:
    """Returns the error for a folder that contains an adapter."""
    return UnusableModel(
        "is an adapter, not a model: it has adapter_config.json or adapter weights",
        "Merge it into its base model (merge_and_unload, then save_pretrained), or use the base model.",
    )


def _is_plain(name: str) -> bool:
    return bool(name) and "/" not in name and "\\" not in name and "\0" not in name and name not in (".", "..")


def _lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]
