-- Who is seen alone?
--
-- Alone: no other animal in the video, named or not. One row: an individual, the loneliest first.
--
-- Parameters:
--   min_videos integer = 1: at least so many videos
--   limit integer = 40: at most this many rows
--
-- Topic: company
-- Chart: bar share_alone by anim_id
--
-- A second track of the same animal without a name counts as another: share_alone is the least it can be. n_named_alone takes
-- only named animals as company.
SELECT
    ranked.place,
    ranked.anim_id,
    ranked.sex,
    ranked.n_videos,
    ranked.n_alone,
    ranked.n_named_alone,
    ranked.share_alone
FROM (
    SELECT
        g.anim_id,
        g.sex,
        g.n_videos,
        g.n_alone,
        g.n_named_alone,
        CAST(g.n_alone AS FLOAT) / g.n_videos AS share_alone,
        ROW_NUMBER() OVER (ORDER BY CAST(g.n_alone AS FLOAT) / g.n_videos DESC, g.n_videos DESC, g.anim_id) AS place
    FROM (
        SELECT
            i.anim_id,
            i.sex,
            COUNT(*) AS n_videos,
            SUM(CASE WHEN v.n_known = 1 AND v.n_unknown = 0 THEN 1 ELSE 0 END) AS n_alone,
            SUM(CASE WHEN v.n_known = 1 THEN 1 ELSE 0 END) AS n_named_alone
        FROM v_sighting AS s
        INNER JOIN v_individual_day AS i ON i.individual_id = s.individual_id
        INNER JOIN v_group AS v ON v.group_rule = 'video' AND v.group_id = s.video_id
        GROUP BY i.anim_id, i.sex
        HAVING COUNT(*) >= :min_videos
    ) AS g
) AS ranked
WHERE ranked.place <= :limit
ORDER BY ranked.place
