-- At which hour of the day are chimpanzees seen, for each hour that cameras recorded?
--
-- One row: an hour of the day in which there are recordings.
--
-- Parameters:
--   hours_from_utc integer = 0: hours of the field's clock ahead of UTC, for example 3 in Tanzania
--   individual text = null: AnimID; null: everybody
--
-- Topic: presence
-- Chart: bar seconds_visible_per_hour by hour
SELECT
    r.hour,
    COUNT(*) AS n_videos,
    SUM(r.duration_s) / 3600 AS hours_recorded,
    COUNT(s.video_id) AS n_videos_with,
    COALESCE(SUM(s.seconds_visible), 0) AS seconds_visible,
    CASE
        WHEN SUM(r.duration_s) > 0 THEN COALESCE(SUM(s.seconds_visible), 0) * 3600 / SUM(r.duration_s)
    END AS seconds_visible_per_hour
FROM (
    SELECT
        h.video_id,
        h.duration_s,
        h.local_hour - h.local_hour / 24 * 24 AS hour
    FROM (
        SELECT
            v.video_id,
            COALESCE(v.duration_s, 0) AS duration_s,
            CAST(SUBSTRING(CAST(v.recorded_at AS VARCHAR(30)), 12, 2) AS INTEGER) + 48 + CAST(:hours_from_utc AS INTEGER) AS local_hour
        FROM video AS v
        WHERE v.state <> 'retired' AND v.recorded_at IS NOT NULL
    ) AS h
) AS r
LEFT OUTER JOIN (
    SELECT
        a.video_id,
        SUM(a.seconds_visible) AS seconds_visible
    FROM v_sighting AS a
    WHERE CAST(:individual AS VARCHAR(40)) IS NULL OR a.anim_id = CAST(:individual AS VARCHAR(40))
    GROUP BY a.video_id
) AS s ON s.video_id = r.video_id
GROUP BY r.hour
ORDER BY r.hour
