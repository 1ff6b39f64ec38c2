"""A stand-in of Azure ML: its service, and the machines that run its jobs."""
