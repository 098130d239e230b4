"""Which files of a repository belong to a data set, by its card or by their names."""

import pytest

from rankscope_worker.child.hub import data_files
from rankscope_worker.child.hub.client import HubError, HubFile, HubRepository
from rankscope_worker.child.hub.data_files import chosen_subset


def repository(*names: str, patterns: object = None) -> HubRepository:
    card = {} if patterns is None else {"configs": [{"config_name": "all", "data_files": patterns}]}
    return HubRepository(
        "data set", "team/tiny", "c0ffee", None, tuple(HubFile(name, 1, None, None) for name in names), card
    )


def found(repository: HubRepository, subset: str | None = None) -> dict[str, str]:
    return {one.file.name: one.split for one in chosen_subset(repository, subset).files}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["reviews.csv", "more.csv"], {"reviews.csv": "train", "more.csv": "train"}),
        (["train.csv", "test.csv", "notes.csv"], {"train.csv": "train", "test.csv": "test"}),
        (["data/dev-00000-of-00001.parquet"], {"data/dev-00000-of-00001.parquet": "validation"}),
        (
            ["default/train/0000.parquet", "default/validation/0000.parquet"],
            {"default/train/0000.parquet": "train", "default/validation/0000.parquet": "validation"},
        ),
        (["a/train.csv", "a/train.json", "a/test.csv"], {"a/train.csv": "train", "a/test.csv": "test"}),
        (
            ["train.csv", "dataset_infos.json", ".hidden/x.csv", "_x/y.csv", "../z.csv", "//w.csv"],
            {"train.csv": "train"},
        ),
    ],
)
def test_splits_are_found_by_the_names_of_files(names: list[str], expected: dict[str, str]) -> None:
    assert found(repository(*names)) == expected


def test_patterns_of_a_card_are_matched_as_the_hub_does() -> None:
    names = ["train.csv", "deep/train.csv", "deep/er/train.csv", "test-1.csv", "test-x.csv"]
    for patterns, expected in [
        ("*.csv", {"train.csv": "train", "test-1.csv": "train", "test-x.csv": "train"}),
        ({"test": "test-[0-9].csv"}, {"test-1.csv": "test"}),
        ([{"split": "train", "path": ["**/train.csv"]}], dict.fromkeys(names[:3], "train")),
        ([{"split": "train", "path": "./deep/**"}], dict.fromkeys(names[1:3], "train")),
    ]:
        assert found(repository(*names, patterns=patterns)) == expected, patterns


def test_no_pattern_or_name_takes_long() -> None:
    """An expression with groups that backtrack would need years for one of these."""
    name = "a" * 490 + ".csv"
    evil = ["**/a*" * 30 + "b", "*a" * 90, "**" * 90 + "b", "[a" * 60, "**a?" * 40]
    with pytest.raises(HubError, match="no subset"):
        chosen_subset(repository(*[f"{number}/{name}" for number in range(50)], patterns=evil), "all")
    with pytest.raises(HubError, match="no CSV"):
        chosen_subset(repository("x" * 100_000 + ".csv"), None)


def test_a_card_with_countless_patterns_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_files, "_MAX_COMPARED", 10)
    with pytest.raises(HubError, match="too many patterns"):
        chosen_subset(repository("a.csv", "b.csv", patterns=["y*"] * 6), None)
    assert found(repository("a.csv", "b.csv", patterns=["a*"] * 5)) == {"a.csv": "train"}
