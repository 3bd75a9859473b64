"""The twin that needs no hardware: software cards, readers, air time, faults, and a bridge into pcscd."""
