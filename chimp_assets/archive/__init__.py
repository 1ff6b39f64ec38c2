"""Videos to frames: discover, probe, decode, shards, frame store. Knows neither dagster nor torch."""
