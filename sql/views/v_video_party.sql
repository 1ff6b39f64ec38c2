-- Which videos belong to one party: all that one camera recorded on one day. One row: a video of which the day is known.
-- party_id is the smallest video_id of them.
SELECT
    v.video_id,
    v.site,
    v.camera,
    v.recorded_on,
    v.recorded_at,
    MIN(v.video_id) OVER (PARTITION BY v.site, v.camera, v.recorded_on) AS party_id
FROM video AS v
WHERE v.state <> 'retired' AND v.recorded_on IS NOT NULL
