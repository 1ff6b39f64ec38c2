"""Pictures cut from stored frames: crops, what people see of a track, contact sheets."""
