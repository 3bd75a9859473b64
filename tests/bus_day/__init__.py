"""A bus day walked through by touch, its figures recomputed apart: `python -m tests.bus_day`."""
