-- How long after a birth did a mother give birth again, and did the elder child live to see it?
--
-- From the biographies, not from videos. One row: two births of a mother, one after the other.
--
-- Parameters: none
--
-- Topic: families
-- Chart: bar interval_y by younger
--
-- interval_low_y, interval_high_y: as far as the dates of birth are known. elder_alive: 0 where the elder had died or
-- disappeared for good before the younger was born (such intervals are short, and are told apart in the field's tables).
SELECT
    b.mother,
    b.elder,
    b.younger,
    b.younger_sex,
    b.mother_age_y,
    b.interval_y,
    b.interval_low_y,
    b.interval_high_y,
    b.elder_alive
FROM (
    SELECT
        m.anim_id AS mother,
        e.anim_id AS elder,
        y.anim_id AS younger,
        y.sex AS younger_sex,
        (y.born_day_no - m.born_day_no) / CAST(365.25 AS FLOAT) AS mother_age_y,
        (y.born_day_no - e.born_day_no) / CAST(365.25 AS FLOAT) AS interval_y,
        (y.born_first_day_no - e.born_last_day_no) / CAST(365.25 AS FLOAT) AS interval_low_y,
        (y.born_last_day_no - e.born_first_day_no) / CAST(365.25 AS FLOAT) AS interval_high_y,
        CASE WHEN e.depart_type IN ('D', 'P') AND e.depart_day_no < y.born_day_no THEN 0 ELSE 1 END AS elder_alive,
        ROW_NUMBER() OVER (PARTITION BY y.individual_id ORDER BY e.born_day_no DESC, e.individual_id) AS nearest
    FROM v_individual_day AS y
    INNER JOIN v_individual_day AS e ON e.mom_id = y.mom_id AND e.born_day_no < y.born_day_no
    INNER JOIN v_individual_day AS m ON m.individual_id = y.mom_id
) AS b
WHERE b.nearest = 1
ORDER BY b.mother, b.interval_y
