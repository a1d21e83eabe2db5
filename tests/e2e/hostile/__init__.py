"""Malformed and hostile objects: what the API server refuses, with words that help, and what is stored and judged with a reason."""
