"""What the diffusion autoencoder is made of beside its networks: noise, schedules, predictions, samplers, the model."""
