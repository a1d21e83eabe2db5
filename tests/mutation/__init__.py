"""Whether a test notices: what decides is changed in one place at a time, and the unit tests have to fail."""
