"""Questions that need two tables at once."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from bench.exam.questions import Question
from bench.exam.tables import read
from bench.exam.writing import count, number, one, words

FAMILY = "joins"


def questions(folder: Path) -> list[Question]:
    """Return the questions of this family."""
    gap = read(folder / "gapminder.csv")
    emissions = read(folder / "emissions.parquet")
    groups = read(folder / "country_groups.csv")
    routes = read(folder / "routes.csv")
    airports = read(folder / "airports.csv")
    us_airports = read(folder / "us_airports.csv")
    exercise = read(folder / "exercise.csv")
    physiology = read(folder / "physiology.csv")
    seattle = read(folder / "seattle_weather.csv")
    macro = read(folder / "macro.csv")
    unemployment = read(folder / "unemployment.csv")
    marriages = read(folder / "marriages.csv")
    longley = read(folder / "longley.csv")
    nile = read(folder / "nile.csv")
    sunspots = read(folder / "sunspots.csv")
    both = gap.merge(emissions, on=["country", "year"])
    in_2007 = both[both["year"] == 2007]
    grouped = gap.merge(groups, left_on="country", right_on="Country")
    of_group = grouped[grouped["year"] == 2007].groupby("Group")["pop"].sum()
    starts = routes.merge(airports, left_on="Source", right_on="IATA")
    ends = routes.merge(airports, left_on="Destination", right_on="IATA")
    high = starts[starts["Altitude"] > 5000]
    with_state = routes.merge(us_airports, left_on="Source", right_on="iata")
    fit = pd.concat([exercise, physiology], axis=1)
    rates = macro.groupby("year", as_index=False)["unemp"].mean().merge(unemployment, left_on="year", right_on="Year")
    people = longley.merge(marriages, left_on="YEAR", right_on="Year")
    river = nile.merge(sunspots, left_on="year", right_on="YEAR")
    kinds = starts.groupby("Type").size()
    tonnes = (in_2007["emissions"] * in_2007["pop"]).sum()
    hot = seattle.assign(year=pd.to_datetime(seattle["date"]).dt.year).groupby("year")["temp_max"].mean()
    lost = set(gap["country"]) - set(groups["Country"])
    return [
        one(
            "matched-rows",
            FAMILY,
            "gapminder.csv emissions.parquet",
            "Inner join gapminder.csv and emissions.parquet on country and year. How many rows does the result have?",
            count(len(both)),
        ),
        one(
            "correlation-across",
            FAMILY,
            "gapminder.csv emissions.parquet",
            "For 2007, join the two tables by country. What's the Pearson correlation of gdpPercap with emissions? 3 decimals.",
            number(in_2007["gdpPercap"].corr(in_2007["emissions"]), 3),
        ),
        one(
            "largest-emitter",
            FAMILY,
            "gapminder.csv emissions.parquet",
            "Emissions are tonnes per person. Combine with the populations: which country emitted most in total in 2007?",
            words(in_2007.assign(total=in_2007["emissions"] * in_2007["pop"]).sort_values("total")["country"].iloc[-1]),
        ),
        one(
            "weighted-total",
            FAMILY,
            "gapminder.csv emissions.parquet",
            "Population-weighted mean of emissions in 2007 over the countries that stand in both files, 3 decimals?",
            number(tonnes / in_2007["pop"].sum(), 3),
        ),
        one(
            "group-population",
            FAMILY,
            "gapminder.csv country_groups.csv",
            "Look up each country's Group in country_groups.csv. How many people lived in South Asia in 2007 by gapminder.csv?",
            count(of_group["South Asia"]),
        ),
        one(
            "without-partner",
            FAMILY,
            "gapminder.csv country_groups.csv",
            "How many countries of gapminder.csv do not occur in country_groups.csv (exact spelling)?",
            count(len(lost)),
        ),
        one(
            "routes-from-country",
            FAMILY,
            "routes.csv airports.csv",
            "How many routes start at an airport (Source = IATA) that lies above 5000 feet? Altitude is in airports.csv.",
            count(len(high)),
        ),
        one(
            "busiest-city",
            FAMILY,
            "routes.csv airports.csv",
            "Match Destination with IATA. Which City receives most routes?",
            words(ends["City"].value_counts().index[0]),
        ),
        one(
            "state-of-source",
            FAMILY,
            "routes.csv us_airports.csv",
            "Using us_airports.csv for the states, how many routes start in Texas (TX)?",
            count((with_state["state"] == "TX").sum()),
        ),
        one(
            "unmatched-routes",
            FAMILY,
            "routes.csv us_airports.csv",
            "How many rows of routes.csv have a Destination that is missing in the iata column of us_airports.csv?",
            count((~routes["Destination"].isin(us_airports["iata"])).sum()),
        ),
        one(
            "by-type",
            FAMILY,
            "routes.csv airports.csv",
            "Count the routes by the Type of the airport where they start. How many are there for large_airport?",
            count(kinds["large_airport"]),
        ),
        one(
            "side-by-side",
            FAMILY,
            "exercise.csv physiology.csv",
            "Both files describe the same 20 men, row by row. What is the correlation between Waist and Chins? Pearson, 3 decimals.",
            number(fit["Waist"].corr(fit["Chins"]), 3),
        ),
        one(
            "filter-across",
            FAMILY,
            "exercise.csv physiology.csv",
            "The rows of the two files belong to the same persons in order. Mean Situps of those who weigh more than 180, 2 decimals?",
            number(fit.loc[fit["Weight"] > 180, "Situps"].mean(), 2),
        ),
        one(
            "two-sources",
            FAMILY,
            "macro.csv unemployment.csv",
            "Average unemp per year in macro.csv and compare with Annual in unemployment.csv. What is the largest absolute difference? 3 decimals.",
            number((rates["unemp"] - rates["Annual"]).abs().max(), 3),
        ),
        one(
            "per-head",
            FAMILY,
            "longley.csv marriages.csv",
            "Join on the year. What is the mean number of Marriages over the years that both tables cover? 1 decimal.",
            number(people["Marriages"].mean(), 1),
        ),
        one(
            "river-and-sun",
            FAMILY,
            "nile.csv sunspots.csv",
            "Is the Nile's volume related to sunspots? Spearman correlation over common years, 3 decimals.",
            number(river["volume"].corr(river["SUNACTIVITY"], method="spearman"), 3),
        ),
        one(
            "only-one-needed",
            FAMILY,
            "seattle_weather.csv lincoln_weather.csv",
            "In Seattle, which year had the highest mean temp_max?",
            count(hot.idxmax()),
        ),
    ]
