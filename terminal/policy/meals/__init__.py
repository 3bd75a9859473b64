"""TODO-DOC terminal/policy/meals"""
