"""The diffusion autoencoder without its networks: noise, schedules, predictions, samplers and the model."""
