"""Bank cards in software: an EMV application with a laboratory key chain. For development only: not certified."""
