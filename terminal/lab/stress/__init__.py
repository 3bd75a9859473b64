"""TODO-DOC terminal/lab/stress"""
