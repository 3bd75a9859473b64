"""TODO-DOC terminal/policy/journeys"""
