"""What puts terminals and the simulator together: demo, desk, stress runs. Only commands import it."""
