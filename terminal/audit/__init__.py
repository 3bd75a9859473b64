"""The audit of a service day, and its repetition by an auditor elsewhere.

    statement   what an audit says, its exact bytes and the collector's signature over them
    dossier      the evidence of a day in one file: signed batches, documents, session keys, statement
    gathering   what is evidence of a day, among everything that a collector or a fleet holds
    embedded    a collector's folder as the source of it
    examining   evidence -> statement: signatures, chain, proofs, decisions, sums
    counting    rows -> what they come to
    verdicts    what one row is worth: the card's proof, the decision made again
    proofs      what decides whether a card gave a proof: session keys, or the verify-only service
    making      the collector's side: evidence gathered, examined, signed, written
    verifying   the auditor's side: a dossier examined, and compared with the statement in it
    service     the verify-only service
    asking      the auditor's side of it
    view        a statement for people

What the collector states is what its evidence comes to: both sides run the same examination.
"""
