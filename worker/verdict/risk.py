"""The risk of a summary: a logistic over its signals, with coefficients fitted on judged summaries.

The coefficients are in `risk.json`, with the number of judgements behind them. `python -m training.judge.fit_risk`
writes that file.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

RISK_FILE = Path(__file__).parent / "risk.json"


@dataclass(frozen=True, slots=True)
class RiskModel:
    """Coefficients of a logistic; a signal that it does not name counts for nothing."""

    #: Judged summaries that it was fitted on.
    n: int
    intercept: float
    weights: Mapping[str, float]
    #: A summary of this risk or more should be reviewed.
    threshold: float
    #: What was judged, in words.
    fitted_on: str = ""

    def risk(self, signals: Mapping[str, float]) -> float:
        """The probability that something is wrong, 0 to 1."""
        score = self.intercept + sum(weight * signals.get(name, 0.0) for name, weight in self.weights.items())
        return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, score))))


@cache
def load_risk(path: Path = RISK_FILE) -> RiskModel:
    """The model in a file; the shipped one by default."""
    return RiskModel(**json.loads(path.read_text(encoding="utf-8")))
