"""What was published, beside what was run here: ``scripts/write_reproductions.py`` sets it out."""
