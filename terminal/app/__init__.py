"""Composition: from the configuration to a running station."""
