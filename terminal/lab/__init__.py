"""TODO-DOC terminal/lab"""
