"""Software cards: a DESFire with the true semantics, and other cards a terminal meets."""
