-- How old each animal was when it was seen, and of which age class. One row: an individual in a video, for each scheme of
-- age classes (Goodall's at Gombe, Chimp&See's, your own).
-- age_y from birth_date (without one, from the middle of bd_min and bd_max); age_min from bd_max, age_max from bd_min. Years
-- of 365.25 days; null where no birth date is known, negative where it was seen before it was born (v_plausibility).
-- class_certain: 1 where age_min and age_max lie in the class too.
SELECT
    a.individual_id,
    a.anim_id,
    a.sex,
    a.video_id,
    a.site,
    a.camera,
    a.recorded_on,
    a.day,
    a.seconds_visible,
    a.mean_probability,
    a.human_reviewed,
    a.age_y,
    a.age_min,
    a.age_max,
    schemes.scheme,
    c.name AS age_class,
    CASE
        WHEN c.name IS NULL THEN NULL
        WHEN a.age_min >= c.min_age_y AND (c.max_age_y IS NULL OR a.age_max < c.max_age_y) THEN 1
        ELSE 0
    END AS class_certain
FROM (
    SELECT
        s.individual_id,
        s.anim_id,
        i.sex,
        s.video_id,
        s.site,
        s.camera,
        s.recorded_on,
        v.day,
        s.seconds_visible,
        s.mean_probability,
        s.human_reviewed,
        (v.day_no - i.born_day_no) / CAST(365.25 AS FLOAT) AS age_y,
        (v.day_no - i.born_last_day_no) / CAST(365.25 AS FLOAT) AS age_min,
        (v.day_no - i.born_first_day_no) / CAST(365.25 AS FLOAT) AS age_max
    FROM v_sighting AS s
    INNER JOIN v_individual_day AS i ON i.individual_id = s.individual_id
    INNER JOIN v_video_day AS v ON v.video_id = s.video_id
) AS a
CROSS JOIN (
    SELECT DISTINCT k.scheme
    FROM age_class AS k
) AS schemes
LEFT OUTER JOIN age_class AS c
    ON
        c.scheme = schemes.scheme
        AND c.sex = a.sex
        AND a.age_y >= c.min_age_y
        AND (c.max_age_y IS NULL OR a.age_y < c.max_age_y)
