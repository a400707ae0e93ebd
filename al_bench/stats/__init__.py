"""Statistics over seeds, pure functions of frames and arrays."""
