"""Experiments over the API: import, answer, tables, renaming, deletion."""

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner

from rankscope.cli import app
from rankscope.contract.experiments.design import ExperimentStatus
from rankscope.store.database.engine import reading, writing
from rankscope.store.experiments import experiments, trials
from tests.backend.conftest import Server
from tests.stack import TOKEN

API = "/api/v1/experiments"
HEADERS = {"Content-Type": "application/octet-stream"}


@pytest.fixture
def engine(server: Server) -> Engine:
    engine: Engine = server.app.state.resources.engine
    return engine


ONE = pytest.mark.parametrize("database_kind", ["sqlite"])
"""For tests that don't depend on the database: each answer starts a process."""


def results(*variants: str, seeds: int = 3) -> str:
    rows = [
        {
            "variant": name,
            "task": "reviews",
            "budget": 2,
            "seed": seed,
            "accuracy": 0.8 + 0.01 * place + 0.001 * seed * place,
        }
        for place, name in enumerate(variants)
        for seed in range(seeds)
    ]
    return "\n".join(map(json.dumps, rows))


def imported(api: httpx.Client, text: str, **options: Any) -> dict[str, Any]:
    given = {"metric": "accuracy", "baseline": "plain", "name": "Mine", **options}
    answer = api.post(f"{API}/import", content=text, params=given, headers=HEADERS)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_imported_results_are_listed_answered_and_deleted(api: httpx.Client, engine: Engine) -> None:
    made = imported(api, results("plain", "new"))["experiment"]
    (listed,) = api.get(API).json()["items"]
    assert (listed["id"], listed["name"], listed["status"], listed["source"]) == (
        made["id"],
        "Mine",
        "done",
        "imported",
    )
    assert listed["trials"] == {"planned": 0, "running": 0, "done": 6, "failed": 0}
    assert api.get(f"{API}/{made['id']}").json()["design"]["variants"][0]["role"] == "baseline"
    answer = api.get(f"{API}/{made['id']}/answer").json()
    (comparison,) = answer["comparisons"]
    assert comparison["verdict"] == "better"
    assert comparison["text"].startswith("At mean rank 2, new is 1.10 points above plain (95 % interval")
    with reading(engine) as session:
        assert experiments.get(session, made["id"]).seen_revision == answer["revision"]
    assert api.delete(f"{API}/{made['id']}").status_code == 204
    assert api.get(f"{API}/{made['id']}/answer").status_code == 404
    assert api.get(API).json() == {"items": []}


@ONE
def test_answer_is_stored_until_a_trial_changes(
    api: httpx.Client, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = imported(api, results("plain", "new"))["experiment"]
    url = f"{API}/{made['id']}/answer"
    first = api.get(url).json()
    with monkeypatch.context() as broken:
        broken.setattr(sys, "executable", "/nowhere")  # no new answer can be computed
        assert api.get(url).json() == first
        with writing(engine) as session:
            trials.fail(session, trials.of(session, made["id"])[0], "Out of memory.", now=9.0)
        refused = api.get(url)
    assert refused.status_code == 503
    assert "could not be computed" in refused.json()["detail"]
    again = api.get(url).json()
    assert (again["failed"], again["comparisons"][0]["difference"]["n"]) == (1, 2)


@ONE
def test_selection_names_only_what_the_experiment_has(api: httpx.Client) -> None:
    made = imported(api, results("plain", "new", "other"))["experiment"]
    url = f"{API}/{made['id']}/answer"
    chosen = api.get(url, params={"task": "reviews", "budget": 2, "variants": ["new"]}).json()
    assert [each["variant"] for each in chosen["comparisons"]] == ["new"]
    assert (chosen["family"], chosen["total_comparisons"]) == (1, 2)
    refused = api.get(url, params={"task": "x", "budget": 3, "variants": ["new", "y"]})
    assert refused.status_code == 422
    assert [each["field"] for each in refused.json()["errors"]] == ["task", "budget", "variants"]


@ONE
def test_table_has_the_same_numbers_in_every_form(api: httpx.Client) -> None:
    text = results("plain", "new_1") + "\n" + results("plain", "new_1").replace("reviews", "news & more")
    made = imported(api, text)["experiment"]
    url = f"{API}/{made['id']}/table"
    markdown = api.get(url, params={"format": "markdown"}).text.splitlines()
    assert markdown[0] == "| accuracy, % | reviews, rank 2 | news & more, rank 2 |"
    assert markdown[3] == "| new_1 | **81.10 ± 0.10** | **81.10 ± 0.10** |"
    latex = api.get(url, params={"format": "latex"})
    assert latex.headers["content-disposition"].endswith(f'"experiment-{made["id"]}.tex"')
    assert r" & \multicolumn{1}{c}{reviews} & \multicolumn{1}{c}{news \& more} \\" in latex.text
    assert r"\cmidrule(lr){2-2} \cmidrule(lr){3-3}" in latex.text
    assert r"new\_1 & \textbf{81.10 $\pm$ 0.10} & \textbf{81.10 $\pm$ 0.10} \\" in latex.text
    assert r"accuracy, \% & rank 2 & rank 2 \\" in latex.text
    report = api.get(f"{API}/{made['id']}/report.html")
    assert "sandbox" in report.headers["content-security-policy"]
    assert "news &amp; more" in report.text
    rows = [line.split(",") for line in api.get(url).text.splitlines()]
    assert rows[0][:7] == ["variant", "task", "budget", "metric", "n", "mean", "sd"]
    assert [float(row[5]) for row in rows[1:]] == pytest.approx([0.8, 0.8, 0.811, 0.811])


@ONE
def test_bad_imports_are_refused_by_line_and_store_nothing(api: httpx.Client) -> None:
    bad = results("plain") + '\n{"variant": "new", "budget": 2, "seed": "x", "accuracy": 1}\n{'
    refused = api.post(f"{API}/import", content=bad, params={"metric": "accuracy"}, headers=HEADERS)
    assert refused.status_code == 422
    assert [each["field"] for each in refused.json()["errors"]] == ["line 4: seed", "line 5"]
    for content, field in ((b"\xff\xfe", "line 1"), (b"", "body"), (results("plain").encode(), "metric")):
        options = {} if field != "metric" else {"metric": "f1"}
        answer = api.post(f"{API}/import", content=content, params=options, headers=HEADERS)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    margin = api.post(f"{API}/import", content=results("plain"), params={"margin": -1}, headers=HEADERS)
    assert margin.json()["errors"][0]["field"] == "margin"
    assert api.get(API).json() == {"items": []}


@ONE
def test_name_and_notes_change_and_the_answer_stays(api: httpx.Client, engine: Engine) -> None:
    made = imported(api, results("plain", "new"))["experiment"]
    changed = api.patch(f"{API}/{made['id']}", json={"name": "Second", "notes": "a\nb"}).json()
    assert (changed["name"], changed["notes"], changed["revision"]) == ("Second", "a\nb", made["revision"])
    assert api.patch(f"{API}/{made['id']}", json={"name": ""}).status_code == 422
    assert api.patch(f"{API}/nope", json={"name": "x"}).status_code == 404
    with writing(engine) as session:
        experiments.set_status(
            session, made["id"], ExperimentStatus.paused, now=9.0, message="Paused.", next_step="Resume."
        )
    paused = api.get(f"{API}/{made['id']}").json()
    assert (paused["status"], paused["message"], paused["next_step"]) == ("paused", "Paused.", "Resume.")


@ONE
def test_the_commands_import_answer_and_write_the_table(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANKSCOPE_URL", server.url)
    monkeypatch.setenv("RANKSCOPE_TOKEN", TOKEN)
    monkeypatch.setenv("RANKSCOPE_DATA_DIR", str(tmp_path))
    file = tmp_path / "results.jsonl"
    file.write_text(results("plain", "new"))

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, ["experiments", *arguments])
        assert done.exit_code == 0, done.output
        return done.stdout

    first = run("import", str(file), "--metric", "accuracy", "--baseline", "plain")
    experiment_id = first.split()[0]
    assert first.endswith("6 trials  results.jsonl\n")
    assert run("list").startswith(experiment_id)
    assert "new is 1.10 points above plain" in run("answer", experiment_id)
    run("table", experiment_id, "--format", "latex", "-o", str(tmp_path / "t.tex"))
    assert r"\begin{tabular}{lr}" in (tmp_path / "t.tex").read_text()
    refused = CliRunner().invoke(app, ["experiments", "import", str(tmp_path / "none.jsonl")])
    assert (refused.exit_code, "can't be read" in refused.output) == (1, True)


@ONE
def test_the_study_is_imported_as_it_is(api: httpx.Client) -> None:
    text = gzip.decompress((Path(__file__).parents[4] / "data/study.jsonl.gz").read_bytes()).decode()
    answer = api.post(f"{API}/import", content=text, headers=HEADERS).json()
    assert answer["experiment"]["trials"]["done"] == 612
    assert answer["ignored_fields"] == []
