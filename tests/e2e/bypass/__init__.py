"""The bypass table: what a namespace's administrator might try to get round the gate, and what must go on working."""
