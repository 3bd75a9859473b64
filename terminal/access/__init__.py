"""How people are known at a console and in the office: references, attempts, sessions, hashes."""
