"""TODO-DOC terminal/decision/bus"""
