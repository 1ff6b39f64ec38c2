"""WHEN it happens: sensors, schedules and jobs, each with its reason."""
