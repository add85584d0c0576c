"""The plot families: each turns the history of a run into one figure."""

FAMILIES = {
    "losses": "thesis_ml.monitoring.families.losses:draw_losses",
    "metrics": "thesis_ml.monitoring.families.metrics:draw_metrics",
    "recon": "thesis_ml.monitoring.families.recon:draw_recon",
    "codebook": "thesis_ml.monitoring.families.codebook:draw_codebook",
    "latency": "thesis_ml.monitoring.families.latency:draw_latency",
    "adversarial": "thesis_ml.monitoring.families.adversarial:draw_adversarial",
    "diffusion": "thesis_ml.monitoring.families.diffusion:draw_diffusion",
}
"""The drawing function of each family, imported at its first figure, because drawing imports matplotlib."""
