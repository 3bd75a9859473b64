"""TODO-DOC terminal/policy/counters"""
