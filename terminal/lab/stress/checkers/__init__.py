"""What is asked after a stress run: did anything get lost, and did two runs behave the same."""
