"""`terminal.toml`: what one terminal is and works with, typed; read and checked, written anew, explained."""
