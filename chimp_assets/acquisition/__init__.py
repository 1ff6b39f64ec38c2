"""What to ask the expert next. Numpy only: no torch, no SQL, no dagster."""
