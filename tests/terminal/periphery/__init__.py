"""Devices around the reader, each alone with its twin."""
