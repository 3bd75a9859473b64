"""Random lives of cards that compare the product with the oracle of `terminal.lab.oracle`: `life` and `border` meet
both sides.
"""
