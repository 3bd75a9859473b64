"""Running terminals: what the service manager, the monitoring and the people on call need to know and to do."""
