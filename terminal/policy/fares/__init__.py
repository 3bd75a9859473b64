"""Fares of the document: found by ride, and what an author must keep to."""
