"""Receipt requests and tickets: what is asked of a fiscal adapter, and a stand-in that writes files (T-50 to T-53)."""
