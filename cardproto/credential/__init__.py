"""The signed grant: a CWT in a COSE_Sign1 (ES256), one object for card file, phone and code.

A terminal's keys can be stolen; what the issuer signed cannot be made with them.
"""
