"""Active sampling: labels are known, and a selection says which points a step trains on."""
