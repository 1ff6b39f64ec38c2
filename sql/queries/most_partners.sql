-- Who has most partners, and the strongest ties?
--
-- Degree and strength in the association network. One row: an individual, the strongest first.
--
-- Parameters:
--   group_rule text = video: together means 'moment' at the same moment, 'video' in one video, 'day' at one camera that day
--   period text = all: a month like 2013-05, a year like 2013, or all
--   limit integer = 20: so many rows
--
-- strength is the sum of the simple ratio indices (sri) of an individual; mean_units the mean number of days behind one.
SELECT
    ranked.place,
    ranked.anim_id,
    ranked.degree,
    ranked.strength,
    ranked.strongest_tie,
    ranked.mean_units
FROM (
    SELECT
        d.anim_id,
        SUM(CASE WHEN d.x > 0 THEN 1 ELSE 0 END) AS degree,
        SUM(d.sri) AS strength,
        MAX(d.sri) AS strongest_tie,
        AVG(CAST(d.sri_denominator AS FLOAT)) AS mean_units,
        ROW_NUMBER() OVER (ORDER BY SUM(d.sri) DESC, d.anim_id) AS place
    FROM (
        SELECT
            a.anim_id_a AS anim_id,
            a.x,
            a.sri,
            a.sri_denominator
        FROM v_dyad AS a
        WHERE a.group_rule = :group_rule AND a.period = :period AND a.sri IS NOT NULL
        UNION ALL
        SELECT
            b.anim_id_b AS anim_id,
            b.x,
            b.sri,
            b.sri_denominator
        FROM v_dyad AS b
        WHERE b.group_rule = :group_rule AND b.period = :period AND b.sri IS NOT NULL
    ) AS d
    GROUP BY d.anim_id
) AS ranked
WHERE ranked.place <= :limit
ORDER BY ranked.place
