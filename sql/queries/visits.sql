-- How long does an individual stay at a camera, and how soon does it come back?
--
-- A visit is a run of its videos at one camera without a longer pause. One row: an individual, most visits first.
--
-- Parameters:
--   pause_minutes number = 30: a longer time between two of its videos at a camera begins a new visit
--   limit integer = 40: at most this many rows
--
-- Topic: presence
-- Chart: bar mean_minutes by anim_id
--
-- minutes: from its first to its last moment in a visit; a visit of one video lasts as long as the animal is seen in it.
SELECT
    ranked.place,
    ranked.anim_id,
    ranked.n_visits,
    ranked.n_videos,
    ranked.n_cameras,
    ranked.mean_minutes,
    ranked.longest_minutes
FROM (
    SELECT
        g.anim_id,
        COUNT(*) AS n_visits,
        SUM(g.n_videos) AS n_videos,
        COUNT(DISTINCT g.camera) AS n_cameras,
        AVG((g.ends_s - g.begins_s) / 60) AS mean_minutes,
        MAX((g.ends_s - g.begins_s) / 60) AS longest_minutes,
        ROW_NUMBER() OVER (ORDER BY COUNT(*) DESC, g.anim_id) AS place
    FROM (
        SELECT
            r.anim_id,
            r.site,
            r.camera,
            r.visit_no,
            COUNT(*) AS n_videos,
            MIN(r.begins_s) AS begins_s,
            MAX(r.ends_s) AS ends_s
        FROM (
            SELECT
                q.anim_id,
                q.site,
                q.camera,
                q.begins_s,
                q.ends_s,
                SUM(CASE WHEN q.pause_s IS NULL OR q.pause_s > CAST(:pause_minutes AS FLOAT) * 60 THEN 1 ELSE 0 END) OVER (
                    PARTITION BY q.anim_id, q.site, q.camera
                    ORDER BY q.begins_s, q.video_id
                    ROWS UNBOUNDED PRECEDING
                ) AS visit_no
            FROM (
                SELECT
                    s.anim_id,
                    s.site,
                    s.camera,
                    s.video_id,
                    v.unix_s + s.first_s AS begins_s,
                    v.unix_s + s.last_s AS ends_s,
                    v.unix_s + s.first_s - LAG(v.unix_s + s.last_s) OVER (
                        PARTITION BY s.anim_id, s.site, s.camera
                        ORDER BY v.unix_s + s.first_s, s.video_id
                    ) AS pause_s
                FROM v_sighting AS s
                INNER JOIN v_video_day AS v ON v.video_id = s.video_id
                WHERE v.unix_s IS NOT NULL
            ) AS q
        ) AS r
        GROUP BY r.anim_id, r.site, r.camera, r.visit_no
    ) AS g
    GROUP BY g.anim_id
) AS ranked
WHERE ranked.place <= :limit
ORDER BY ranked.place
