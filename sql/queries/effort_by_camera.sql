-- How much did each camera record, month by month, and on how many days did it stand there in silence?
--
-- One row: a camera in a month; month is null where nobody knows the day.
--
-- Parameters: none
--
-- Topic: trust
-- Chart: line hours_recorded by month for camera
SELECT
    e.site,
    e.camera,
    e.month,
    COUNT(*) AS n_days,
    SUM(e.n_videos) AS n_videos,
    SUM(e.recorded_s) / 3600 AS hours_recorded,
    SUM(e.usable_s) / 3600 AS hours_usable,
    SUM(CASE WHEN e.n_videos = 0 THEN 1 ELSE 0 END) AS silent_days,
    SUM(e.known_gap) AS days_of_known_gaps
FROM v_effort AS e
GROUP BY e.site, e.camera, e.month
ORDER BY
    CASE WHEN e.site IS NULL THEN 0 ELSE 1 END,
    e.site,
    e.camera,
    CASE WHEN e.month IS NULL THEN 0 ELSE 1 END,
    e.month
