"""Where a model comes from: its licence, and the hub's name and revision of one that was downloaded."""

import json
import re
from dataclasses import asdict, dataclass

from rankscope.catalog.models.files import ModelFiles, UnusableModel, shown

PROVENANCE = "rankscope-model.json"
"""Written into the folder of a downloaded model."""
_MAX_BYTES = 1 << 20
_READ_BYTES = 4096
_FRONT_MATTER = re.compile(r"\A---\s*\n(.*?)^---", re.DOTALL | re.MULTILINE)
_FIELD = r"^{}:[ \t]*[\"']?([^\"'\n#]{{1,80}}?)[\"']?[ \t]*$"
_KNOWN = (
    ("Apache License", "apache-2.0"),
    ("MIT License", "mit"),
    ("BSD 3-Clause", "bsd-3-clause"),
    ("BSD 2-Clause", "bsd-2-clause"),
    ("GNU AFFERO GENERAL PUBLIC LICENSE", "agpl-3.0"),
    ("GNU GENERAL PUBLIC LICENSE", "gpl"),
    ("Attribution-NonCommercial", "cc-by-nc"),
    ("Attribution-ShareAlike", "cc-by-sa"),
)


@dataclass(frozen=True)
class HubSource:
    """The model's name on the hub, and the commit that was downloaded."""

    hub_id: str
    revision: str
    requested: str
    """The branch, tag or commit that was asked for."""
    license: str | None = None

    def as_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"


def hub_source(files: ModelFiles) -> HubSource | None:
    """Returns what the download wrote into the folder; None if there is nothing or it is damaged."""
    if PROVENANCE not in files.regular:
        return None
    try:
        found = files.read_json(PROVENANCE, _MAX_BYTES)
    except UnusableModel:
        return None
    texts = {name: found.get(name) for name in ("hub_id", "revision", "requested")}
    licence = found.get("license")
    if not all(isinstance(text, str) and len(text) <= 200 for text in texts.values()):
        return None
    return HubSource(
        hub_id=str(texts["hub_id"]),
        revision=str(texts["revision"]),
        requested=str(texts["requested"]),
        license=licence if isinstance(licence, str) else None,
    )


def licence(files: ModelFiles) -> str | None:
    """Returns the licence that README.md names in its front matter, or that the licence file begins with; None without one."""
    readme = next((name for name in files.regular if name.lower() == "readme.md"), None)
    matter = _FRONT_MATTER.match(_begin(files, readme)) if readme else None
    if matter:
        for field in ("license_name", "license"):
            found = re.search(_FIELD.format(field), matter[1], re.MULTILINE)
            if found and found[1].strip().lower() not in ("other", "unknown"):
                return shown(found[1].strip())
    for name in files.regular:
        if re.fullmatch(r"(licen[cs]e|copying)(\.(txt|md))?", name.lower()):
            text = _begin(files, name)
            known = next((short for words, short in _KNOWN if words.lower() in text.lower()), None)
            first = next((line.strip("# \t") for line in text.splitlines() if line.strip("# \t")), "")
            return known or shown(first) or None
    return None


def _begin(files: ModelFiles, name: str) -> str:
    try:
        with files.open(name) as file:
            return file.read(_READ_BYTES).decode("utf-8", "replace")
    except (UnusableModel, OSError):
        return ""
