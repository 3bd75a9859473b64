"""Pure decisions: (snapshot, policy, trip, now) -> Decision. No clock, file, socket or randomness.

Rule ids such as T-12 are stated with an example in docs/rules.md.
"""
