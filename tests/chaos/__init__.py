"""Seeded faults against a random stream of actions, judged by a model that knows what may run."""
