"""Settings from environment variables such as RANKSCOPE_DATA_DIR. Read once in a main function, then passed on."""

import ipaddress
import json
import os
import re
import tempfile
from pathlib import Path
from typing import Annotated, Any

from pydantic import ByteSize, Field, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from rankscope.contract.errors import StartupError

ENV_PREFIX = "RANKSCOPE_"
"""All environment variables that are read begin with it."""
_HOST = re.compile(r"\*|[A-Za-z0-9._-]+(:[0-9]+)?|\[?[0-9A-Fa-f:.]+\]?")
_ADDRESS = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._/-]*)?")
_NAME = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_SECRETS = frozenset({"token", "database_url", "broker_url"})


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, use_attribute_docstrings=True)

    data_dir: Path = Path("rankscope-data")
    """Database, run files, token. Workers on other hosts need the same folder (shared file system)."""
    database_url: str = ""
    """Empty: SQLite in data_dir."""
    broker_url: str = "redis://127.0.0.1:6379/0"
    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8123, ge=0, le=65535)
    token: str = Field(default="", repr=False)
    """Sign-in token. Empty: created at the first start and stored in data_dir/token."""
    worker_name: str = Field(default="", max_length=200)
    """Empty: the host name."""
    lease_s: float = Field(default=30.0, gt=0, allow_inf_nan=False)
    """A run whose worker has not renewed its lease for this long goes back to the queue, in seconds."""
    stop_grace_s: float = Field(default=60.0, gt=0, allow_inf_nan=False)
    """Time between the request to stop a training process and its kill, in seconds."""
    max_runs_per_gpu: int = Field(default=1, ge=1, le=64)
    """Number of runs that a worker trains on one GPU at the same time, if memory allows."""
    min_free_gpu_memory: ByteSize = ByteSize(2 << 30)
    """A GPU with less free memory is considered in use by other programs, and no run is started on it. For example 8GiB."""
    hardware_every_s: float = Field(default=5.0, ge=0, allow_inf_nan=False)
    """Interval at which a training records memory and load of its host, process and GPUs, in seconds. 0: never."""
    hub_endpoint: str = Field(default="", max_length=300)
    """Address of the model hub. Empty: HF_ENDPOINT, or https://huggingface.co. No other host is contacted."""
    hub_offline: bool = False
    """Downloads from the hub are refused, as with HF_HUB_OFFLINE."""
    hub_storage_hosts: Annotated[list[str], NoDecode] = []
    """Hosts to which the hub may redirect downloads, with their subdomains. Those of huggingface.co are known."""
    data_packages: Annotated[list[str], NoDecode] = []
    """Installed Python packages whose data files can be imported. They are read, and never run."""
    token_cache: ByteSize = ByteSize(10 << 30)
    """Space for the tokens of data sets, which a later run with the same rows and tokenizer uses again. 0: not kept."""
    low_disk: ByteSize = ByteSize(2 << 30)
    """The page shows a warning if the data folder has less free space."""
    max_lost_workers: int = Field(default=3, ge=0)
    """A run that has lost its worker more often than this fails instead of being queued again."""
    allowed_hosts: Annotated[list[str], NoDecode] = ["127.0.0.1", "localhost", "[::1]"]
    """Host names of the API (protects against DNS rebinding). Behind a proxy, add the public name."""
    trusted_proxies: Annotated[list[str], NoDecode] = []
    """Addresses or networks of reverse proxies whose X-Forwarded-For and X-Forwarded-Proto are trusted. Empty: none."""

    @field_validator("data_dir", mode="before")
    @classmethod
    def _is_named(cls, given: object) -> object:
        if str(given).strip() == "":
            raise ValueError("must name a folder")
        return given

    @field_validator("allowed_hosts", "trusted_proxies", "hub_storage_hosts", "data_packages", mode="before")
    @classmethod
    def _as_list(cls, given: object) -> object:
        """Parses a JSON list or comma-separated names."""
        if not isinstance(given, str):
            return given
        if not given.lstrip().startswith("["):
            return [part.strip() for part in given.split(",") if part.strip()]
        try:
            return json.loads(given)
        except ValueError:
            if given.count("]") == 1 and "," not in given:  # an IPv6 address
                return [given.strip()]
            raise ValueError('must be a JSON list, for example ["rankscope.example.org"]') from None

    @field_validator("hub_endpoint")
    @classmethod
    def _is_address(cls, given: str) -> str:
        if given and not _ADDRESS.fullmatch(given):
            raise ValueError("must be an address without user name and query, such as https://huggingface.co")
        return given

    @field_validator("hub_storage_hosts")
    @classmethod
    def _are_names(cls, hosts: list[str]) -> list[str]:
        for host in hosts:
            if not _NAME.fullmatch(host):
                raise ValueError(
                    f"{host!r} must be a host name such as cdn.example.org, without scheme, port or pattern"
                )
        return [host.lower() for host in hosts]

    @field_validator("data_packages")
    @classmethod
    def _are_packages(cls, packages: list[str]) -> list[str]:
        for package in packages:
            if not package.isidentifier():
                raise ValueError(f"{package!r} must be the name of a package as it is imported, without dots")
        return packages

    @field_validator("allowed_hosts")
    @classmethod
    def _are_hosts(cls, hosts: list[str]) -> list[str]:
        for host in hosts:
            if not _HOST.fullmatch(host):
                raise ValueError(f"{host!r} must be a host name without scheme, path or pattern")
        return hosts

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, proxies: list[str]) -> list[str]:
        for proxy in proxies:
            try:
                ipaddress.ip_network(proxy)
            except ValueError:
                raise ValueError(f"{proxy!r} must be an IP address or a network such as 10.0.0.0/8") from None
        return proxies

    @property
    def resolved_database_url(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir.absolute() / 'rankscope.db'}"

    @property
    def runs_dir(self) -> Path:
        return self.data_dir / "runs"

    @property
    def models_dir(self) -> Path:
        """Each subfolder with config.json and safetensors files is a model `local:<folder>`."""
        return self.data_dir / "models"

    @property
    def datasets_dir(self) -> Path:
        """Each .csv, .tsv or .jsonl file is a data set `local:<file name>`."""
        return self.data_dir / "datasets"

    def as_environment(self) -> dict[str, str]:
        """Returns the settings as environment variables, for a child process."""
        text = self.model_dump(mode="json") | {"data_dir": str(self.data_dir.absolute())}
        return {
            f"{ENV_PREFIX}{name.upper()}": value if isinstance(value, str) else json.dumps(value)
            for name, value in text.items()
        }

    def attempt_dir(self, run_id: str, attempt: int) -> Path:
        """Returns the folder with log, checkpoints and results of one attempt, to which only that attempt writes."""
        return self.runs_dir / run_id / f"attempt-{attempt}"

    def checkpoint_dir(self, run_id: str, attempt: int, step: int) -> Path:
        """Returns the folder of a checkpoint, which is complete once the folder exists. Attempt 0 of a fork is its parent's."""
        return self.attempt_dir(run_id, attempt) / "checkpoints" / f"step-{step}"


def read_settings(**options: object) -> Settings:
    """Returns the settings: command-line options override environment variables. Raises StartupError for invalid ones."""
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise StartupError("; ".join(_refusal(each, given) for each in error.errors()) + ".") from error


def _refusal(error: ErrorDetails, options: dict[str, object]) -> str:
    name = str(error["loc"][0])
    where = f"--{name.replace('_', '-')}" if name in options else f"{ENV_PREFIX}{name.upper()}"
    value = "" if name in _SECRETS else f" is {error['input']!r}"
    why = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"{where}{value}: it {why}" if why.startswith(("should", "must")) else f"{where}{value}: {why}"


def write_atomically(path: Path, text: str, mode: int = 0o600) -> None:
    """Writes a small file. A reader sees either the old text or the new text."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, mode)
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    os.replace(temporary, path)
