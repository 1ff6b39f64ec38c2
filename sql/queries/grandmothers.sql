-- Which grandmothers were seen with their grandchildren?
--
-- Grandmothers on the mother's side. One row: a grandchild with its grandmother, both alive on a day with recordings.
--
-- Parameters: none
--
-- Topic: families
-- Chart: bar n_videos_together by grandchild
--
-- mother_there: of the videos with both, those with the mother too.
SELECT
    g.anim_id AS grandmother,
    m.anim_id AS mother,
    c.anim_id AS grandchild,
    c.sex AS grandchild_sex,
    COALESCE(s.n_videos, 0) AS n_videos_of_grandchild,
    COALESCE(t.n_videos, 0) AS n_videos_together,
    COALESCE(t.n_days, 0) AS n_days_together,
    COALESCE(t.mother_there, 0) AS mother_there
FROM v_individual_day AS c
INNER JOIN v_individual_day AS m ON m.individual_id = c.mom_id
INNER JOIN v_individual_day AS g ON g.individual_id = m.mom_id
LEFT OUTER JOIN (
    SELECT
        a.individual_id,
        COUNT(*) AS n_videos
    FROM v_sighting AS a
    GROUP BY a.individual_id
) AS s ON s.individual_id = c.individual_id
LEFT OUTER JOIN (
    SELECT
        k.individual_id,
        COUNT(DISTINCT o.video_id) AS n_videos,
        COUNT(DISTINCT o.recorded_on) AS n_days,
        COUNT(DISTINCT h.video_id) AS mother_there
    FROM v_individual_day AS k
    INNER JOIN v_individual_day AS n ON n.individual_id = k.mom_id
    INNER JOIN v_sighting AS o ON o.individual_id = k.individual_id
    INNER JOIN v_sighting AS w ON w.video_id = o.video_id AND w.individual_id = n.mom_id
    LEFT OUTER JOIN v_sighting AS h ON h.video_id = o.video_id AND h.individual_id = n.individual_id
    GROUP BY k.individual_id
) AS t ON t.individual_id = c.individual_id
WHERE
    EXISTS (
        SELECT 1
        FROM v_sampling_day AS d
        WHERE
            d.day_no >= c.from_day_no
            AND d.day_no <= c.until_day_no
            AND d.day_no >= g.from_day_no
            AND d.day_no <= g.until_day_no
    )
ORDER BY n_videos_together DESC, grandmother, grandchild
