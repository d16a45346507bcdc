"""Speech in, pictures of a talking face out; runs without Pipecat."""
