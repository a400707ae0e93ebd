"""Tables for CSV, in which a spreadsheet finds no formulas."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_FORMULA = tuple("=+-@\t\r\n")  # how a cell begins that would be computed


def without_formulas(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Texts that a spreadsheet would compute get a quote in front; numbers and the rest stay."""
    texts = [name for name in frame if frame[name].dtype.kind not in "biufcmM"]
    return frame.assign(**{str(name): frame[name].map(_as_text) for name in texts})


def _as_text(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
