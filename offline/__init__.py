"""What the agent uses when no API key is set: a voice and a scripted brain."""
