-- The days on which any camera recorded: the sampling units of v_dyad. One row: a day.
SELECT
    v.recorded_on,
    v.day,
    v.month,
    v.year,
    v.day_no,
    COUNT(*) AS n_videos,
    SUM(COALESCE(v.duration_s, 0)) AS recorded_s
FROM v_video_day AS v
WHERE v.recorded_on IS NOT NULL
GROUP BY v.recorded_on, v.day, v.month, v.year, v.day_no
