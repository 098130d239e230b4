"""Tables for a paper: each cell is the best point with its values."""

from pydantic import JsonValue

from rankscope.contract.sweeps.design import ParameterSpace, SweepTrialStatus, Values
from rankscope.search.board import leaderboard
from rankscope.search.tables import sweep_table
from rankscope.search.trials import KnownTrial
from tests.backend.search.test_plan import RATE, design

METHOD, DATA = "method.name", "data.id"


def test_columns_of_two_parameters_share_the_titles_of_the_first() -> None:
    values: dict[str, list[JsonValue]] = {
        METHOD: ["lora", "full"],
        DATA: ["a_1", "b"],
        "budget": [1, 2],
        RATE: [0.01, 0.1],
    }
    of = design({"kind": "grid"}, parameters={name: ParameterSpace(values=each) for name, each in values.items()})
    trials: list[KnownTrial] = []
    for data in values[DATA]:
        for budget in (1, 2):
            for rate in (0.01, 0.1):
                point: Values = {METHOD: "lora", DATA: data, "budget": budget, RATE: rate}
                number, value = len(trials) + 1, 0.5 + budget / 10 + rate + (data == "b") / 100
                trials.append(KnownTrial(number, number, 0, SweepTrialStatus.done, point, value))
    board = leaderboard(of, trials)
    assert sweep_table(of, board, "latex", METHOD, [DATA, "budget"]).splitlines() == [
        r"\begin{tabular}{lrrrr}",
        r"\toprule",
        r" & \multicolumn{2}{c}{a\_1} & \multicolumn{2}{c}{b} \\",
        r"method & budget 1 & budget 2 & budget 1 & budget 2 \\",
        r"\midrule",
        r"lora & 70.00 & 80.00 & 71.00 & 81.00 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]
    assert sweep_table(of, board, "markdown", METHOD, [DATA, "budget"]).splitlines()[::2] == [
        "| method | a_1, budget 1 | a_1, budget 2 | b, budget 1 | b, budget 2 |",
        "| lora | 70.00 | 80.00 | 71.00 | 81.00 |",
    ]
    assert sweep_table(of, board, "markdown", METHOD, []).splitlines()[0] == "| method | accuracy |"
