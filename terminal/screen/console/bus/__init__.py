"""TODO-DOC terminal/screen/console/bus"""
