-- Which individual was seen at a camera for the first time, after how many days of its recordings?
--
-- One row: an individual at a camera, the newest first.
--
-- Parameters:
--   after_days integer = 1: the camera had recorded on at least so many days before
--   limit integer = 20: at most this many rows
--
-- Topic: presence
SELECT
    ranked.place,
    ranked.anim_id,
    ranked.sex,
    ranked.site,
    ranked.camera,
    ranked.first_day,
    ranked.camera_days_before,
    ranked.n_videos_since
FROM (
    SELECT
        f.anim_id,
        f.sex,
        f.site,
        f.camera,
        f.first_day,
        f.n_videos_since,
        COUNT(*) AS camera_days_before,
        ROW_NUMBER() OVER (ORDER BY f.first_day DESC, f.anim_id, f.camera, f.site) AS place
    FROM (
        SELECT
            i.anim_id,
            i.sex,
            COALESCE(s.site, '') AS site,
            s.camera,
            MIN(v.day) AS first_day,
            COUNT(*) AS n_videos_since
        FROM v_sighting AS s
        INNER JOIN v_individual_day AS i ON i.individual_id = s.individual_id
        INNER JOIN v_video_day AS v ON v.video_id = s.video_id
        WHERE s.camera IS NOT NULL AND v.day IS NOT NULL
        GROUP BY i.anim_id, i.sex, COALESCE(s.site, ''), s.camera
    ) AS f
    INNER JOIN (
        SELECT DISTINCT
            COALESCE(r.site, '') AS site,
            r.camera,
            r.day
        FROM v_video_day AS r
        WHERE r.day IS NOT NULL
    ) AS c ON c.site = f.site AND c.camera = f.camera AND c.day < f.first_day
    GROUP BY f.anim_id, f.sex, f.site, f.camera, f.first_day, f.n_videos_since
    HAVING COUNT(*) >= :after_days
) AS ranked
WHERE ranked.place <= :limit
ORDER BY ranked.place
