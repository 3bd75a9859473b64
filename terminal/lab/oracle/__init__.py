"""An independent reading of region documents, written from docs/rules.md, docs/tariff-author.md, docs/canteen.md and
docs/card-layout.md alone. It imports nothing of the product, so that a mistake there is not made here as well; random
lives of cards (tests/oracle) and stress runs compare both.
"""
