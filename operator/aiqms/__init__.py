"""AIQMS: an AI quality management system that a Kubernetes cluster enforces and proves."""
