"""The expert's minutes: what answers cost, what they name, and how many are left until the archive is named.

Belongs here: prices, calibrated chances, goals and forecasts, as arithmetic on arrays. Does not belong here: reading
answers and predictions (`chimp_assets.loop`), which tracks a plan asks (`lanes`), promises and their samples.
"""
