"""Information quantities of predictions, as pure functions of log-probabilities.

Points n, posterior samples K, classes C; everything in nats.
"""
