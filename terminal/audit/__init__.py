"""The audit of a service day, and its repetition by an auditor elsewhere.

statement   what an audit says, its exact bytes and the collector's signature over them
bundle      the evidence of a day in one file: signed batches, documents, session keys, statement
counting    rows -> what they come to: recomputed, proven, unproven, differing
examining   a bundle -> its statement made anew: signatures, chain, proofs, decisions, sums
gathering   a collector's or a fleet's records -> a bundle
proofs      what decides whether a card gave a proof: session keys, or the verify-only service
service     the verify-only service
view        a statement for people
"""
