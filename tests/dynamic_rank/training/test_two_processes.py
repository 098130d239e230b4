"""Two processes (gloo on the CPU) make the same decisions, have the same weights, and compact the same tensors."""

import gc
import hashlib
import json
import os
import socket
import subprocess
import sys
from importlib import import_module
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

import torch

import dynamic_rank

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "compacted": ("dynamic_rank", {"target_rank": 2, "prune_interval": 2}),
    "not compacted": ("dynamic_rank", {"target_rank": 2, "prune_interval": 2, "compact": False}),
    "rank 0": ("dynamic_rank", {"target_rank": 1, "initial_rank": 4, "prune_interval": 2, "score": "norm"}),
    "adalora": ("adalora", {"target_rank": 2, "prune_interval": 2}),
    "eva": ("eva", {"rank": 3}),
    "lora_shrink": ("lora_shrink", {"target_rank": 2, "shrink_at_ratio": 0.5, "allocation": "global"}),
    "sora": ("sora", {"rank": 3, "sparse_lambda": 5.0}),
}


def test_two_processes_agree_on_every_mask_weight_and_shape(tmp_path: Path) -> None:
    paths = [
        str(Path(dynamic_rank.__file__).parents[1]),
        str(Path(__file__).parents[3]),
        os.environ.get("PYTHONPATH", ""),
    ]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "OMP_NUM_THREADS": "1"}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    done = subprocess.run(
        [sys.executable, __file__, str(tmp_path), str(port)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert first == second
    assert first.keys() == CASES.keys()
    for name, report in first.items():
        assert report["warned"] == [], name
    for name in ("compacted", "rank 0", "adalora", "lora_shrink"):
        assert first[name]["held"] == first[name]["ranks"], name
    assert first["not compacted"]["held"] == [3] * 12
    assert [sum(first[name]["ranks"]) for name in ("compacted", "not compacted", "adalora")] == [24] * 3
    assert min(first["rank 0"]["ranks"]) == 0
    # Compaction changes no decision and no loss, in two processes as in one.
    assert first["compacted"]["ranks"] == first["not compacted"]["ranks"]
    for a, b in zip(first["compacted"]["losses"], first["not compacted"]["losses"], strict=True):
        assert abs(a - b) < 1e-5


def one_case(folder: Path, key: str, options: dict[str, Any]) -> dict[str, Any]:
    from transformers import Trainer

    from tests.dynamic_rank.tiny_models import Rows, arguments, build

    model, task = build()
    method = dynamic_rank.create_method(key, options)
    wrapped: Any = method.prepare(model, task)
    snapshots: list[dynamic_rank.Snapshot] = []
    warned: list[str] = []
    trainer = dynamic_rank.make_trainer_class(Trainer)(
        model=wrapped,
        args=arguments(folder, ddp_backend="gloo"),
        method=method,
        train_dataset=Rows(),
        callbacks=method.callbacks(snapshots.append, 1, lambda code, _: warned.append(code)),
    )
    trainer.train()
    weights = b"".join(p.detach().cpu().numpy().tobytes() for p in wrapped.parameters() if p.requires_grad)
    seen = b"".join(snapshot.pack_mask() + snapshot.pack_scores() for snapshot in snapshots)
    layers: list[Any] = [
        module for module in wrapped.modules() if hasattr(module, "lora_B") and hasattr(module, "scaling")
    ]
    held = {id(layer): layer.lora_B["default"].weight.shape[1] for layer in layers}
    named = dict(wrapped.get_base_model().named_modules())
    return {
        "weights": hashlib.sha256(weights).hexdigest(),
        "snapshots": hashlib.sha256(seen).hexdigest(),
        "ranks": snapshots[-1].ranks,
        "held": [held[id(named[module.name])] for module in method.modules()],
        "losses": [entry["loss"] for entry in trainer.state.log_history if "loss" in entry],
        "warned": warned,
    }


def one_process(folder: Path) -> None:
    torch.set_num_threads(1)
    reports = {name: one_case(folder, key, options) for name, (key, options) in CASES.items()}
    (folder / f"{os.environ['RANK']}.json").write_text(json.dumps(reports))


def both_processes(folder: Path, port: str) -> int:
    """The exit code of two forks with the variables that torchrun sets, after one import of the training stack."""
    for name in ("transformers.trainer", "tests.dynamic_rank.tiny_models"):
        import_module(name)
    gc.freeze()
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    forks = []
    for rank in ("0", "1"):
        os.environ |= {"RANK": rank, "LOCAL_RANK": rank}
        forks.append(ForkProcess(target=one_process, args=(folder,)))
        forks[-1].start()
    while alive := [fork.sentinel for fork in forks if fork.is_alive()]:
        wait(alive)
        if any(fork.exitcode for fork in forks):
            for fork in forks:
                fork.kill()  # the other process would wait for the failed one
    return max(abs(fork.exitcode or 0) for fork in forks)


if __name__ == "__main__":
    # Not needed, and a third of what would be imported.
    sys.modules.update(dict.fromkeys(["bitsandbytes", "datasets"]))  # type: ignore[arg-type]
    sys.exit(both_processes(Path(sys.argv[1]), sys.argv[2]))
