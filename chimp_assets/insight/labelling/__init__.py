"""How the labelling goes: progress, one's own answers, people, what to review."""
