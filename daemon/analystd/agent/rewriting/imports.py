"""Add missing imports of modules under their usual short names."""

from __future__ import annotations

import ast

_USUAL = {
    "json": "import json",
    "math": "import math",
    "re": "import re",
    "scipy": "import scipy",
    "LinearRegression": "from sklearn.linear_model import LinearRegression",
    "LogisticRegression": "from sklearn.linear_model import LogisticRegression",
    "StandardScaler": "from sklearn.preprocessing import StandardScaler",
    "train_test_split": "from sklearn.model_selection import train_test_split",
    "np": "import numpy as np",
    "pd": "import pandas as pd",
    "plt": "import matplotlib.pyplot as plt",
    "sns": "import seaborn as sns",
    "sm": "import statsmodels.api as sm",
    "smf": "import statsmodels.formula.api as smf",
    "toolbox": "import toolbox",
}
"""Names with only one meaning; others, such as `stats`, are also used for variables."""


def with_usual_imports(code: str) -> str:
    """Return a program preceded by missing imports, for each module that it uses by its usual name and whose name it never binds."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return code
    used, bound = set[str](), set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, ast.alias):
            bound.add(node.asname or node.name.partition(".")[0])
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            bound.add(node.name)
    missing = [line for name, line in _USUAL.items() if name in used - bound]
    return "\n".join([*missing, code])
