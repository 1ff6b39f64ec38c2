-- What each camera recorded on each day: the denominator. One row: a camera on a day; days of a deployment without a video
-- are rows with 0; a row whose day is null holds the videos of which nobody knows the day.
-- recorded_s: seconds of video there are; usable_s: of these, seconds that became pictures. deployed: 1 where a deployment
-- says that the camera stood there. known_gap: 1 where somebody recorded that there was no sampling on this day.
-- A deployment without an end goes on to the last day of the archive.
SELECT
    g.site,
    g.camera,
    g.day,
    g.day_no,
    SUBSTRING(g.day, 1, 7) AS month,
    g.n_videos,
    g.recorded_s,
    g.usable_s,
    g.n_failed,
    g.deployed,
    CASE
        WHEN EXISTS (
            SELECT 1
            FROM sampling_gap AS s
            WHERE
                (s.site IS NULL OR s.site = g.site)
                AND (s.camera IS NULL OR s.camera = g.camera)
                AND g.day >= CAST(s.start_date AS VARCHAR(10))
                AND g.day <= CAST(s.end_date AS VARCHAR(10))
        ) THEN 1
        ELSE 0
    END AS known_gap
FROM (
    SELECT
        u.site,
        u.camera,
        u.day,
        u.day_no,
        SUM(u.n_videos) AS n_videos,
        SUM(u.recorded_s) AS recorded_s,
        SUM(u.usable_s) AS usable_s,
        SUM(u.n_failed) AS n_failed,
        MAX(u.deployed) AS deployed
    FROM (
        SELECT
            v.site,
            v.camera,
            v.day,
            v.day_no,
            1 AS n_videos,
            COALESCE(v.duration_s, 0) AS recorded_s,
            CASE
                WHEN v.state NOT IN ('decoded', 'tracked') THEN CAST(0 AS FLOAT)
                WHEN v.n_frames * v.frame_s < v.duration_s THEN v.n_frames * v.frame_s
                ELSE COALESCE(v.duration_s, 0)
            END AS usable_s,
            CASE WHEN v.state = 'failed' THEN 1 ELSE 0 END AS n_failed,
            0 AS deployed
        FROM v_video_day AS v
        UNION ALL
        SELECT
            d.site,
            d.camera,
            c.day,
            c.day_no,
            0 AS n_videos,
            CAST(0 AS FLOAT) AS recorded_s,
            CAST(0 AS FLOAT) AS usable_s,
            0 AS n_failed,
            1 AS deployed
        FROM v_deployment_day AS d
        INNER JOIN v_calendar AS c
            ON c.day_no >= d.start_day_no AND (d.end_day_no IS NULL OR c.day_no <= d.end_day_no)
    ) AS u
    GROUP BY u.site, u.camera, u.day, u.day_no
) AS g
