"""Whether answers became worse: those of the champion head on the audit, those of people to what is known."""
