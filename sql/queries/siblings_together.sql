-- How much are children of one mother together, and how far are they apart in age?
--
-- One row: two children of one mother, both alive and under study on a day with recordings, the strongest tie first.
--
-- Parameters:
--   group_rule text = video: together means 'moment' at the same moment, 'video' in one video, 'day' at one camera that day
--
-- Topic: families
-- Chart: network sri between one and other
SELECT
    m.anim_id AS mother,
    d.anim_id_a AS one,
    d.anim_id_b AS other,
    a.sex AS sex_of_one,
    b.sex AS sex_of_other,
    ABS(b.born_day_no - a.born_day_no) / CAST(365.25 AS FLOAT) AS age_difference_y,
    d.x,
    d.sri_denominator AS units,
    d.sri
FROM v_dyad AS d
INNER JOIN v_individual_day AS a ON a.individual_id = d.individual_a
INNER JOIN v_individual_day AS b ON b.individual_id = d.individual_b AND b.mom_id = a.mom_id
INNER JOIN v_individual_day AS m ON m.individual_id = a.mom_id
WHERE d.group_rule = :group_rule AND d.period_kind = 'all'
ORDER BY CASE WHEN d.sri IS NULL THEN 1 ELSE 0 END, d.sri DESC, mother, one, other
