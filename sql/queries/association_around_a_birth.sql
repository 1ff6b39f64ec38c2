-- How did the social network of a mother change after an infant was born?
--
-- Her association with each partner in the days before and after the birth. One row: a partner, the greatest change first.
--
-- Parameters:
--   infant text = ME: AnimID of the infant
--   days integer = 365: days before the birth, and as many from it on
--   group_rule text = day: together means 'moment' at the same moment, 'video' in one video, 'day' at one camera that day
--
-- Topic: families
-- Chart: bar change by partner
--
-- sri_before, sri_after: simple ratio index over the days on which one of the two was seen; null where neither was.
SELECT
    c.partner,
    c.x_before,
    c.units_before,
    c.sri_before,
    c.x_after,
    c.units_after,
    c.sri_after,
    c.sri_after - c.sri_before AS change
FROM (
    SELECT
        s.partner,
        s.x_before,
        s.units_before,
        CASE WHEN s.units_before > 0 THEN CAST(s.x_before AS FLOAT) / s.units_before END AS sri_before,
        s.x_after,
        s.units_after,
        CASE WHEN s.units_after > 0 THEN CAST(s.x_after AS FLOAT) / s.units_after END AS sri_after
    FROM (
        SELECT
            e.partner,
            SUM(CASE WHEN e.day_no < e.born_day_no THEN e.together ELSE 0 END) AS x_before,
            SUM(CASE WHEN e.day_no < e.born_day_no THEN 1 ELSE 0 END) AS units_before,
            SUM(CASE WHEN e.day_no >= e.born_day_no THEN e.together ELSE 0 END) AS x_after,
            SUM(CASE WHEN e.day_no >= e.born_day_no THEN 1 ELSE 0 END) AS units_after
        FROM (
            SELECT
                CASE WHEN d.individual_a = i.mom_id THEN d.anim_id_b ELSE d.anim_id_a END AS partner,
                d.day_no,
                CASE CAST(:group_rule AS VARCHAR(10))
                    WHEN 'moment' THEN d.at_once
                    WHEN 'video' THEN d.in_video
                    WHEN 'day' THEN d.in_party
                END AS together,
                i.born_day_no
            FROM v_individual_day AS i
            INNER JOIN v_dyad_day AS d
                ON
                    (d.individual_a = i.mom_id AND d.individual_b <> i.individual_id)
                    OR (d.individual_b = i.mom_id AND d.individual_a <> i.individual_id)
            WHERE
                i.anim_id = :infant
                AND d.day_no >= i.born_day_no - :days
                AND d.day_no < i.born_day_no + :days
        ) AS e
        GROUP BY e.partner
    ) AS s
) AS c
ORDER BY
    CASE WHEN c.sri_after IS NULL OR c.sri_before IS NULL THEN 1 ELSE 0 END,
    ABS(c.sri_after - c.sri_before) DESC,
    c.partner
