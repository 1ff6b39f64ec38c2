"""Answers that a reviewer should decide about: where people, or people and the model, disagree."""
