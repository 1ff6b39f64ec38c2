"""What changed, who is treated worse, and what a model is: facts, signals, alerts, fairness, model cards."""
