"""What to ask the expert next. Numpy and faiss only: no torch, no SQL, no dagster.

`TrackPool` and `Head` go in, `plan` comes out; `chimp_assets.loop.plan` fills them from the database and the store.
"""
