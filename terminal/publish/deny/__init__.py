"""The office's deny register: who is denied, why, since when and until when, and what of it terminals have.

register    the entries, each with its reason; the only place where a reason stands
issuing     bases and increments made of it (`terminal.policy.deny_changes`)
"""
