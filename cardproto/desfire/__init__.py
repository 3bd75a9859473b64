"""MIFARE DESFire from the first cards to EV3: secure messaging, commands, files, transaction MAC, diversification."""
