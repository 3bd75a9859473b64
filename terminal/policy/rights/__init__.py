"""Concessions and products of the document: what they cover, what they cost, and what an author must keep to."""
