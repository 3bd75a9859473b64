"""A DESFire card in software: true state, true refusals, true tearing."""
