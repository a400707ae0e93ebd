"""What ``benchmark_strategies.py`` measures and how: cases, clocks, floors, inputs and peers."""
