-- Who was at which camera on which day (SokweDB's ARRIVALS, for cameras). One row: an individual, a camera and a day on which
-- the camera recorded, while the individual was alive and under study, or seen nevertheless.
-- present: 1 where it was seen, else 0; seconds: how long. comm: its community on that day, null where nobody knows.
SELECT
    g.individual_id,
    g.anim_id,
    g.site,
    g.camera,
    g.day,
    g.day_no,
    g.present,
    g.seconds,
    g.n_videos,
    (
        SELECT MIN(m.comm_id)
        FROM v_membership_day AS m
        WHERE m.individual_id = g.individual_id AND g.day >= m.start_day AND g.day <= m.end_day
    ) AS comm
FROM (
    SELECT
        u.individual_id,
        u.anim_id,
        u.site,
        u.camera,
        u.day,
        u.day_no,
        MAX(u.present) AS present,
        SUM(u.seconds) AS seconds,
        SUM(u.n_videos) AS n_videos
    FROM (
        SELECT
            s.individual_id,
            s.anim_id,
            s.site,
            s.camera,
            v.day,
            v.day_no,
            1 AS present,
            s.seconds_visible AS seconds,
            1 AS n_videos
        FROM v_sighting AS s
        INNER JOIN v_video_day AS v ON v.video_id = s.video_id
        WHERE v.day_no IS NOT NULL
        UNION ALL
        SELECT
            i.individual_id,
            i.anim_id,
            c.site,
            c.camera,
            c.day,
            c.day_no,
            0 AS present,
            CAST(0 AS FLOAT) AS seconds,
            0 AS n_videos
        FROM v_individual_day AS i
        INNER JOIN (
            SELECT DISTINCT
                d.site,
                d.camera,
                d.day,
                d.day_no
            FROM v_video_day AS d
            WHERE d.recorded_on IS NOT NULL
        ) AS c ON c.day_no >= i.from_day_no AND c.day_no <= i.until_day_no
    ) AS u
    GROUP BY u.individual_id, u.anim_id, u.site, u.camera, u.day, u.day_no
) AS g
