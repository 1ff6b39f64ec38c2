-- Which males, or which females, are together most?
--
-- The simple ratio index of two individuals of one sex. One row: two individuals, the strongest tie first.
--
-- Parameters:
--   sex text = males: 'males' or 'females'
--   group_rule text = video: together means 'moment' at the same moment, 'video' in one video, 'day' at one camera that day
--   min_units integer = 1: at least so many days on which one of the two was seen
--   min_age_y number = 0: both were at least so old on the archive's last day; unknown ages count
--   limit integer = 40: at most this many rows
--
-- Topic: company
-- Chart: network sri between anim_id_a and anim_id_b
SELECT
    ranked.place,
    ranked.anim_id_a,
    ranked.anim_id_b,
    ranked.x,
    ranked.units,
    ranked.sri,
    ranked.maternal_siblings
FROM (
    SELECT
        d.anim_id_a,
        d.anim_id_b,
        d.x,
        d.sri_denominator AS units,
        d.sri,
        CASE WHEN a.mom_id = b.mom_id THEN 1 ELSE 0 END AS maternal_siblings,
        ROW_NUMBER() OVER (ORDER BY d.sri DESC, d.sri_denominator DESC, d.anim_id_a, d.anim_id_b) AS place
    FROM v_dyad AS d
    INNER JOIN v_individual_day AS a ON a.individual_id = d.individual_a
    INNER JOIN v_individual_day AS b ON b.individual_id = d.individual_b
    CROSS JOIN (
        SELECT MAX(s.day_no) AS day_no
        FROM v_sampling_day AS s
    ) AS last
    WHERE
        d.group_rule = :group_rule
        AND d.period_kind = 'all'
        AND d.x > 0
        AND d.sri_denominator >= :min_units
        AND a.sex = CASE CAST(:sex AS VARCHAR(10)) WHEN 'males' THEN 'M' WHEN 'females' THEN 'F' END
        AND b.sex = CASE CAST(:sex AS VARCHAR(10)) WHEN 'males' THEN 'M' WHEN 'females' THEN 'F' END
        AND (a.born_day_no IS NULL OR last.day_no - a.born_day_no >= CAST(:min_age_y AS FLOAT) * 365.25)
        AND (b.born_day_no IS NULL OR last.day_no - b.born_day_no >= CAST(:min_age_y AS FLOAT) * 365.25)
) AS ranked
WHERE ranked.place <= :limit
ORDER BY ranked.place
