"""TODO-DOC terminal/lab/demo"""
