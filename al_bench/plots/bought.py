"""Acquisitions for the figures that show what was bought."""

from collections.abc import Mapping
from itertools import zip_longest

import pandas as pd

from al_bench.errors import AlBenchError
from al_bench.plots.figures import Options
from al_bench.results.frame import read_acquisitions
from al_bench.stats.bought import with_names
from al_bench.stats.ceilings import without_ceilings
from al_bench.stats.protocols import titles


def by_protocol(frame: pd.DataFrame, options: Options) -> Mapping[str, pd.DataFrame]:
    """Acquisitions with their names by protocol, in the order of titles.

    Empty, with the reason told, where nothing was bought.
    """
    try:
        rows = read_acquisitions(options.folders) if options.folders else None
    except AlBenchError:
        rows = None
    if rows is None:
        options.explain("no acquisitions are stored beside these curves.")
        return {}
    rows = with_names(rows, without_ceilings(frame))
    if (rows["round"] < 0).all():
        options.explain("nothing was bought after the initial set.")
        return {}
    parts = {str(key): part for key, part in rows.groupby("protocol_id")}
    return {key: parts[key] for key in titles(frame) if key in parts}


def panel_titles(labels: Mapping[str, list[str]], frame: pd.DataFrame) -> dict[str, str]:
    """Keys "protocol strategy" to titles, "bald · repeat"; what all protocols share is left out."""
    names = _distinct({key: title for key, title in titles(frame).items() if key in labels})
    return {
        f"{key} {label}": f"{label} · {names[key]}" if names[key] else label
        for key, own in labels.items()
        for label in own
    }


def _distinct(names: Mapping[str, str]) -> dict[str, str]:
    """Titles without the parts that are the same in all of them."""
    places = list(zip_longest(*(title.split(" · ") for title in names.values()), fillvalue=""))
    varying = [words for words in places if len(set(words)) > 1]
    kept = zip(*varying, strict=True) if varying else ((),) * len(names)
    return {
        key: " · ".join(word for word in words if word)
        for key, words in zip(names, kept, strict=True)
    }
