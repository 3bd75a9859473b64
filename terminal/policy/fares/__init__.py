"""TODO-DOC terminal/policy/fares"""
