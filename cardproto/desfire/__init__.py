"""MIFARE DESFire EV2/EV3: secure messaging, commands, files, transaction MAC, key diversification."""
