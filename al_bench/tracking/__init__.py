"""Learning curves told to an experiment tracker while they grow; parquet stays the record."""
