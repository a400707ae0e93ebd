"""Small pools as strategies see them: those of ``al-bench check``."""

from al_bench.checking.views import FakeView, LinearNetwork, log_probs, one_hot, seeded

__all__ = ["FakeView", "LinearNetwork", "log_probs", "one_hot", "seeded"]
