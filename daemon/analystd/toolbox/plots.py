"""Saving of plots to files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_DOTS_PER_INCH = 150


def save_plot(what: Any, path: str | Path, *, title: str | None = None) -> Path:
    """Save a plot to a file whose extension gives the format (`.png`, `.svg`, `.pdf`), print its path, and close the plot.

    Args:
        what: A matplotlib figure or axes, or a pandas series or table, which is drawn as lines.
        path: The file; its folder is created if it is missing.
        title: The title of the plot.

    Raises:
        TypeError: When `what` cannot be plotted.
        ValueError: When matplotlib does not know the format.
    """
    import matplotlib.pyplot as plt
    import pandas as pd

    if isinstance(what, (pd.Series, pd.DataFrame)):
        what = what.plot()
    figure = getattr(what, "figure", what)
    if not hasattr(figure, "savefig"):
        raise TypeError(f"{type(what).__name__} is no plot: pass a figure, axes, a series or a table")
    if title is not None:
        figure.suptitle(title)
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=_DOTS_PER_INCH, bbox_inches="tight")
    plt.close(figure)
    print(f"Plot saved: {target}")
    return target
