"""Transfers, check-in, caps and guards of the document, indexed and checked."""
