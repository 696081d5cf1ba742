from __future__ import annotations

import pytest

from analystd.agent.imports import with_usual_imports


@pytest.mark.parametrize(
    ("code", "before"),
    [
        ("print(pd.read_csv('a.csv')['x'].mean())", ["import pandas as pd"]),
        ("print(np.mean(pd.Series([1])))", ["import numpy as np", "import pandas as pd"]),
        ("print(toolbox.read('a.csv').shape)", ["import toolbox"]),
        ("import pandas as pd\nprint(pd.NA)", []),
        ("from matplotlib import pyplot as plt\nplt.plot([1])", []),
        ("import toolbox\ntoolbox.read('a')", []),
        ("pd = 5\nprint(pd)", []),
        ("def f(np): return np\nf(1)", []),
        ("print(stats.mean())", []),
        ("print(1)", []),
        ("print(pd.", []),
        ("(" * 5000, []),
    ],
)
def test_forgotten_imports_of_usual_names_come_first(code: str, before: list[str]) -> None:
    assert with_usual_imports(code) == "\n".join([*before, code])
