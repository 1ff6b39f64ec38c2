-- How often was each individual seen each month, for each hour that cameras recorded?
--
-- One row: an individual in a month in which it was seen.
--
-- Parameters:
--   individual text = null: AnimID; null: everybody
--
-- Topic: presence
-- Chart: line videos_per_hour by month for anim_id
SELECT
    s.anim_id,
    s.month,
    s.n_videos,
    s.n_days,
    s.seconds_visible,
    e.hours_recorded,
    CASE WHEN e.hours_recorded > 0 THEN s.n_videos / e.hours_recorded END AS videos_per_hour,
    CASE WHEN e.hours_recorded > 0 THEN s.seconds_visible / e.hours_recorded END AS seconds_visible_per_hour
FROM (
    SELECT
        a.anim_id,
        v.month,
        COUNT(*) AS n_videos,
        COUNT(DISTINCT v.day) AS n_days,
        SUM(a.seconds_visible) AS seconds_visible
    FROM v_sighting AS a
    INNER JOIN v_video_day AS v ON v.video_id = a.video_id
    WHERE
        v.month IS NOT NULL
        AND (CAST(:individual AS VARCHAR(40)) IS NULL OR a.anim_id = CAST(:individual AS VARCHAR(40)))
    GROUP BY a.anim_id, v.month
) AS s
INNER JOIN (
    SELECT
        d.month,
        SUM(d.recorded_s) / 3600 AS hours_recorded
    FROM v_sampling_day AS d
    GROUP BY d.month
) AS e ON e.month = s.month
ORDER BY s.anim_id, s.month
