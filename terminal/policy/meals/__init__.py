"""Meals of the document: entitlements by pupil and day, and what a school's document must keep to."""
