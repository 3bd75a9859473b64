"""All it takes: name the plugin."""

pytest_plugins = ["sim.pytest_plugin"]
