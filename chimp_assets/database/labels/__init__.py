"""Label events and what follows from them: standing answers, splits, agreement, references."""
