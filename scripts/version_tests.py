"""Runs the tests of dynamic_rank with other versions of its requirements: `make test-versions`.

    python -m scripts.version_tests peft==0.20.0 torch==2.11.0

Each argument is installed into a folder of its own under .make/versions, which the tests import before the environment.
PEFT comes without its requirements, torch with them: on PyPI, a torch for Linux is a CUDA build of several GB; for the
CPU builds, set PIP_INDEX_URL to PyTorch's index for the CPU. Arguments that begin with tests/ or - go to pytest.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / ".make" / "versions"
# With transformers 5.23, both fail for encoder-decoders, and 0.19 for fused experts: those tests fail.
DEFAULT = ("peft==0.19.1", "peft==0.20.0")


def install(requirement: str) -> Path:
    """The folder with this requirement, which is installed at the first call."""
    folder = FOLDER / requirement.replace("==", "-")
    if not folder.is_dir():
        working = folder.with_name(f".{folder.name}")
        shutil.rmtree(working, ignore_errors=True)
        options = ["--quiet", "--disable-pip-version-check", "--target", str(working)]
        if requirement.startswith("peft"):
            options.append("--no-deps")
        subprocess.run([sys.executable, "-m", "pip", "install", *options, requirement], check=True)
        working.rename(folder)
    return folder


def run(requirements: list[str], others: list[str]) -> int:
    paths = [str(install(requirement)) for requirement in requirements]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    print(f"dynamic_rank with {', '.join(requirements)}", flush=True)
    command = [sys.executable, "-m", "pytest", "-q", *(others or ["tests/dynamic_rank"])]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def main() -> None:
    requirements = [argument for argument in sys.argv[1:] if "==" in argument and not argument.startswith("-")]
    others = [argument for argument in sys.argv[1:] if argument not in requirements]
    together = [requirements] if requirements else [[requirement] for requirement in DEFAULT]
    sys.exit(max(run(each, others) for each in together))


if __name__ == "__main__":
    main()
