"""The side process that listens to the vehicle, away from the terminal's keys and journal (ADR 31)."""
