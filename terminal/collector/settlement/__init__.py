"""What rides come to for the carriers that ran them, from the records themselves (docs/settlement.md, ADR 81).

carriers    who runs which route from when, and how the money of a journey with transfers is divided
legs        the rides and cash sales of a service day, each with what proves it
split       one journey's money over its legs, to the minor unit
lines       a day by carrier, route, product and concession
periods     months: what was stated when one was closed, and what became of its days since
tables      a statement as CSV, XLSX and TIDES, signed
"""
