"""What may be said from few and dependent answers, on plain arrays: numpy and scipy only."""
