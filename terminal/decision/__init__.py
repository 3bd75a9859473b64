"""Pure decisions: (snapshot, policy, context, now) -> Decision. No clock, file, socket or randomness."""
