"""TODO-DOC terminal/policy/rights"""
