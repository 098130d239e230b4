"""Two processes (gloo on the CPU) take the same decisions and hold the same weights."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import dynamic_rank


def test_two_processes_agree_on_every_mask_and_weight(tmp_path):
    paths = [str(Path(dynamic_rank.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=2",
        __file__,
        str(tmp_path),
    ]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert first == second
    assert sum(first["ranks"]) == 24
    assert first["warned"] == ["compaction_unavailable"]


def one_process(folder: Path) -> None:
    import torch
    from tiny_models import Rows, arguments, build
    from transformers import Trainer

    torch.set_num_threads(1)
    model, task = build()
    method = dynamic_rank.create_method("dynamic_rank", {"target_rank": 2, "prune_interval": 2})
    model = method.prepare(model, task)
    snapshots, warned = [], []
    trainer = dynamic_rank.make_trainer_class(Trainer)(
        model=model,
        args=arguments(folder, ddp_backend="gloo"),
        method=method,
        train_dataset=Rows(),
        callbacks=method.callbacks(snapshots.append, 1, lambda code, _: warned.append(code)),
    )
    trainer.train()
    weights = b"".join(p.detach().numpy().tobytes() for p in model.parameters() if p.requires_grad)
    seen = b"".join(snapshot.pack_mask() + snapshot.pack_scores() for snapshot in snapshots)
    report = {
        "weights": hashlib.sha256(weights).hexdigest(),
        "snapshots": hashlib.sha256(seen).hexdigest(),
        "ranks": snapshots[-1].ranks,
        "warned": warned,
    }
    (folder / f"{os.environ['RANK']}.json").write_text(json.dumps(report))


if __name__ == "__main__":
    one_process(Path(sys.argv[1]))
