"""TODO-DOC sim/cli"""
