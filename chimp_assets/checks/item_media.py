"""What must hold of the pictures: at 1.5 Mbit/s a larger item makes the expert wait for each answer."""

import dagster as dg

from chimp_assets.resources import HomeResource


@dg.asset_check(asset="item_media")
def item_media_fits_a_slow_link(home: HomeResource) -> dg.AssetCheckResult:
    """Of the tracks whose pictures were made last, 95 % have at most 150 kB of stills and 400 kB of clip."""
    import numpy as np

    from chimp_assets.vision.pictures.clips import CLIP_BYTES
    from chimp_assets.vision.pictures.item_media import sizes
    from chimp_assets.vision.pictures.stills import STILL_BYTES

    with home.open().database.read() as conn:
        stills, clips = sizes(conn)
    p95 = [float(np.quantile(found, 0.95)) if found else 0.0 for found in (stills, clips)]
    return dg.AssetCheckResult(
        passed=p95[0] <= STILL_BYTES and p95[1] <= CLIP_BYTES,
        metadata={"tracks": len(stills), "stills_p95": p95[0], "clips": len(clips), "clip_p95": p95[1]},
    )
