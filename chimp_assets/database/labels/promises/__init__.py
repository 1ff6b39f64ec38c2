"""Promises about names: goals, looks at frozen names, draws and their answers.

Belongs here: rows of `promise`, `promise_look` and `promise_draw`, and what label events mean for them. Does not belong
here: when names are worth freezing and which tracks are drawn (`chimp_assets.loop.minutes`), bets (`statistics`).
"""
