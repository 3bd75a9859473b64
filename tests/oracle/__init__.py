"""An independent reading of region documents, and random lives of cards that compare it with the product.

`tariff`, `card` and `rules` are the oracle: they import nothing of the terminal and were written from the documents
(docs/rules.md, docs/tariff-author.md, docs/card-layout.md, the region files) alone. `life` and `border` meet both
sides.
"""
