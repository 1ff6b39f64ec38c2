-- At which cameras was an individual seen, and how often for each hour that they recorded?
--
-- One row: an individual at a camera, where most of its videos are first.
--
-- Parameters:
--   individual text = null: AnimID; null: everybody
--
-- Topic: presence
-- Chart: bar share_of_its_videos by camera for anim_id
--
-- Hours count while the individual was alive and under study. A camera that stood where it walks for a week says less than
-- one that stood there for a year: compare videos_per_hour.
SELECT
    s.anim_id,
    s.site,
    s.camera,
    s.n_videos,
    s.n_days,
    s.first_day,
    s.last_day,
    CAST(s.n_videos AS FLOAT) / SUM(s.n_videos) OVER (PARTITION BY s.anim_id) AS share_of_its_videos,
    e.hours_recorded,
    CASE WHEN e.hours_recorded > 0 THEN s.n_videos / e.hours_recorded END AS videos_per_hour
FROM (
    SELECT
        a.individual_id,
        a.anim_id,
        a.site,
        a.camera,
        COUNT(*) AS n_videos,
        COUNT(DISTINCT v.day) AS n_days,
        MIN(v.day) AS first_day,
        MAX(v.day) AS last_day
    FROM v_sighting AS a
    INNER JOIN v_video_day AS v ON v.video_id = a.video_id
    WHERE
        v.day IS NOT NULL
        AND (CAST(:individual AS VARCHAR(40)) IS NULL OR a.anim_id = CAST(:individual AS VARCHAR(40)))
    GROUP BY a.individual_id, a.anim_id, a.site, a.camera
) AS s
LEFT OUTER JOIN (
    SELECT
        i.individual_id,
        d.site,
        d.camera,
        SUM(d.recorded_s) / 3600 AS hours_recorded
    FROM v_individual_day AS i
    INNER JOIN (
        SELECT
            r.site,
            r.camera,
            r.day_no,
            SUM(COALESCE(r.duration_s, 0)) AS recorded_s
        FROM v_video_day AS r
        WHERE r.day IS NOT NULL
        GROUP BY r.site, r.camera, r.day_no
    ) AS d ON d.day_no >= i.from_day_no AND d.day_no <= i.until_day_no
    GROUP BY i.individual_id, d.site, d.camera
) AS e
    ON
        e.individual_id = s.individual_id
        AND (e.site = s.site OR (e.site IS NULL AND s.site IS NULL))
        AND (e.camera = s.camera OR (e.camera IS NULL AND s.camera IS NULL))
ORDER BY s.anim_id, s.n_videos DESC, s.camera, s.site
