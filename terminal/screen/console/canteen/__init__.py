"""TODO-DOC terminal/screen/console/canteen"""
