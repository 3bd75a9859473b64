"""TODO-DOC terminal/decision/canteen"""
