"""TODO-DOC terminal/policy/document"""
