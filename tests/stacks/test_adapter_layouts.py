"""A run from launch to adapter on the stack of docker-compose.yml: its two commands, PostgreSQL and Valkey.

Both layouts of an adapter as the server sends them, and the script that loads it, with real adapters and PEFT.
"""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load, load_file, save_file
from transformers import AutoModelForSequenceClassification

from dynamic_rank import DynamicRankConfig, create_method, export_lora, wrap
from dynamic_rank.adapter.components import components_of
from rankscope.exports.uniform_adapter import NotUniform, UniformAdapter
from tests.stack import Stack
from tests.tiny import make_reviews, make_tiny_bert

Sizes = dict[str, tuple[int, int]]
StackWithRun = tuple[Stack, str, list[dict[str, Any]]]
CONFIG = {
    "model": {"id": "local:tiny-bert"},
    "data": {"id": "local:reviews"},
    "method": {"name": "dynamic_rank", "target_rank": 2, "prune_interval": 2, "score": "norm", "init": "zero_b"},
    "training": {"max_steps": 20, "batch_size": 8, "max_length": 16, "eval_every": 10, "learning_rate": 0.01},
}


@pytest.fixture
def adapter(tmp_path: Path) -> tuple[Path, Path, Sizes]:
    """A compact and a uniform export of the same model, with a module at rank 0, and the modules' sizes."""
    base = make_tiny_bert(tmp_path / "base")
    model = wrap(
        AutoModelForSequenceClassification.from_pretrained(base, num_labels=2),
        DynamicRankConfig(target_rank=2),
        "SEQ_CLS",
    )
    with torch.no_grad():
        for number, layer in enumerate(components_of(model).layers):
            layer.c.fill_(0.5)
            layer.c[: number % 4] = 0
    export_lora(model, tmp_path / "compact", "compact")
    export_lora(model, tmp_path / "uniform", "uniform")
    sizes = {layer.name: (layer.lora.out_features, layer.lora.in_features) for layer in components_of(model).layers}
    return tmp_path / "compact", tmp_path / "uniform", sizes


@pytest.fixture(scope="module")
def stack_with_run(
    tmp_path_factory: pytest.TempPathFactory, new_postgres: Callable[[str], str]
) -> Iterator[StackWithRun]:
    """A finished run of dynamic rank on the real stack, and its events in order of arrival."""
    stack = Stack(tmp_path_factory.mktemp("layouts") / "data", database_url=new_postgres("template1"))
    make_tiny_bert(stack.settings.models_dir / "tiny-bert")
    make_reviews(stack.settings.datasets_dir / "reviews.csv")
    try:
        stack.start_valkey()
        stack.start_api()
        stack.start_worker()
        with stack.client() as client:
            run_id = client.launch(CONFIG)["id"]
            watched = list(client.watch(run_id))
            assert client.run(run_id)["status"] == "done", client.run(run_id)["message"]
        yield stack, run_id, watched
    finally:
        stack.stop()


def test_a_run_goes_from_launch_to_adapter_on_postgresql_and_valkey(stack_with_run: StackWithRun) -> None:
    stack, run_id, watched = stack_with_run
    with stack.client() as client:
        run = client.run(run_id)
    assert [event["seq"] for event in watched] == list(range(1, run["last_seq"] + 1))
    prunings = [event for event in watched if event["kind"] == "ranks" and event["pruning"]]
    assert prunings
    assert all(event["live"] == event["budget"] for event in prunings)
    assert run["live"] == 2 * run["n_modules"]


def test_padding_a_file_equals_what_the_library_writes(adapter: tuple[Path, Path, Sizes]) -> None:
    compact, uniform, sizes = adapter
    assert 0 in json.loads((compact / "rank_pattern.json").read_text()).values()
    made = UniformAdapter(compact, sizes)
    expected = load_file(uniform / "adapter_model.safetensors")
    found = load(b"".join(made.weights()))
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert json.loads(made.config()) == json.loads((uniform / "adapter_config.json").read_text())


def test_half_precision_is_padded_as_it_is(adapter: tuple[Path, Path, Sizes]) -> None:
    compact, uniform, sizes = adapter
    halved = {name: tensor.bfloat16() for name, tensor in load_file(compact / "adapter_model.safetensors").items()}
    save_file(halved, compact / "adapter_model.safetensors", metadata={"format": "pt"})
    expected = load_file(uniform / "adapter_model.safetensors")
    found = load(b"".join(UniformAdapter(compact, sizes).weights()))
    assert all(torch.equal(found[name], expected[name].bfloat16()) for name in expected)


@pytest.mark.parametrize("damage", ["no config", "cut", "no header", "unknown size", "another rank"])
def test_adapter_that_cannot_be_padded_is_refused_before_anything_is_sent(
    adapter: tuple[Path, Path, Sizes], damage: str
) -> None:
    compact, _, sizes = adapter
    weights = compact / "adapter_model.safetensors"
    match damage:
        case "no config":
            (compact / "adapter_config.json").unlink()
        case "cut":
            weights.write_bytes(weights.read_bytes()[:100])
        case "no header":
            weights.write_bytes(b"\0" * 8)
        case "unknown size":
            sizes = {}
        case "another rank":
            pattern = json.loads((compact / "rank_pattern.json").read_text())
            (compact / "rank_pattern.json").write_text(json.dumps(dict.fromkeys(pattern, 1)))
    with pytest.raises(NotUniform):
        UniformAdapter(compact, sizes)


def test_both_downloads_load_in_peft_and_the_page_s_script_runs(stack_with_run: StackWithRun, tmp_path: Path) -> None:
    stack, run_id, _ = stack_with_run
    logits = {}
    for layout in ("uniform", "compact"):
        with stack.client() as client:
            archive = client.export(run_id, tmp_path / f"{layout}.zip", layout)
        folder = tmp_path / layout / f"{run_id}-adapter"
        with zipfile.ZipFile(archive) as files:
            files.extractall(folder)
        names = {path.name for path in folder.iterdir()}
        assert {"adapter_config.json", "adapter_model.safetensors", "rank_pattern.json"} <= names
        base_folder = json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"]
        assert base_folder == str((stack.settings.models_dir / "tiny-bert").absolute())
        torch.manual_seed(0)
        base = AutoModelForSequenceClassification.from_pretrained(base_folder, num_labels=2)
        model = PeftModel.from_pretrained(base, folder).eval()
        with torch.no_grad():
            logits[layout] = model(input_ids=torch.tensor([[2, 5, 15, 3]])).logits
        ranks = json.loads((folder / "rank_pattern.json").read_text())
        assert len(set(ranks.values())) > 1
    torch.testing.assert_close(logits["uniform"], logits["compact"], rtol=1e-5, atol=1e-6)

    headers = {"Authorization": f"Bearer {stack.settings.token}"}
    usage = httpx.get(f"{stack.url}/api/v1/runs/{run_id}/usage", headers=headers).json()
    assert usage["base_model"] == base_folder
    for layout, size_bytes in usage["size_bytes"].items():
        weights = tmp_path / layout / f"{run_id}-adapter" / "adapter_model.safetensors"
        assert weights.stat().st_size == size_bytes
    assert usage["size_bytes"]["compact"] < usage["size_bytes"]["uniform"]
    done = subprocess.run(
        [sys.executable, "-c", usage["code"]],
        cwd=tmp_path / "uniform",
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split()[0] in ("fresh", "rotten")


def test_the_run_stores_what_it_was_trained_with(stack_with_run: StackWithRun) -> None:
    import peft
    import transformers

    stack, run_id, _ = stack_with_run
    with stack.client() as client:
        found = client.run(run_id)["environment"]["trained_with"]
    assert found["attempt"] == "1"
    assert (found["torch"], found["transformers"], found["peft"]) == (
        torch.__version__,
        transformers.__version__,
        peft.__version__,
    )
    assert found["device"].startswith("CPU (") or torch.cuda.is_available()


def test_every_method_but_full_exports_both_layouts(tmp_path: Path) -> None:
    base = make_tiny_bert(tmp_path / "base")
    for key in ("dynamic_rank", "lora", "adalora", "lora_shrink", "sora"):
        method = create_method(key, {})
        method.prepare(AutoModelForSequenceClassification.from_pretrained(base, num_labels=2), "SEQ_CLS")
        for layout in ("uniform", "compact"):
            method.export(tmp_path / key / layout, layout)
            config = json.loads((tmp_path / key / layout / "adapter_config.json").read_text())
            assert bool(config["rank_pattern"]) == (layout == "compact"), key
