"""What a validator decides: fares, rights, transfers, caps, check-in, inspection, cash."""
