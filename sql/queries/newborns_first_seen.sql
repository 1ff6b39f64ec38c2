-- When did newborns appear for the first time, how old were they, and was the mother there?
--
-- One row: an individual that was first seen at most at this age, the youngest first.
--
-- Parameters:
--   max_age_years number = 5: at most this age when it was first seen
--
-- Topic: families
SELECT
    f.anim_id,
    f.sex,
    m.anim_id AS mother,
    f.first_seen,
    f.age_days,
    CASE
        WHEN m.anim_id IS NULL THEN NULL
        WHEN EXISTS (
            SELECT 1
            FROM v_sighting AS child
            INNER JOIN v_sighting AS mother ON mother.video_id = child.video_id
            INNER JOIN v_video_day AS v ON v.video_id = child.video_id
            WHERE child.individual_id = f.individual_id AND mother.individual_id = f.mom_id AND v.day = f.first_seen
        ) THEN 1
        ELSE 0
    END AS mother_in_a_video_that_day
FROM (
    SELECT
        i.individual_id,
        i.anim_id,
        i.sex,
        i.mom_id,
        l.first_seen,
        MIN(d.day_no) - MIN(i.born_day_no) AS age_days
    FROM v_individual_day AS i
    INNER JOIN v_dispersal_last_seen AS l ON l.individual_id = i.individual_id
    INNER JOIN v_sampling_day AS d ON d.day = l.first_seen
    GROUP BY i.individual_id, i.anim_id, i.sex, i.mom_id, l.first_seen
) AS f
LEFT OUTER JOIN individual AS m ON m.individual_id = f.mom_id
WHERE f.age_days >= 0 AND f.age_days <= CAST(:max_age_years AS FLOAT) * 365.25
ORDER BY f.age_days, f.anim_id
