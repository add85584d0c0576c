"""The package from Python: start trainings and reports, and look at what they left."""
