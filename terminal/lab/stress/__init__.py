"""Stress runs: a world of terminals and residents, the faults that strike it, and the checks afterwards."""
