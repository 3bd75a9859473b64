"""TODO-DOC terminal/lab/desk"""
