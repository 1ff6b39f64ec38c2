-- Who has most partners, and the strongest ties?
--
-- Degree and strength in the association network. One row: an individual, the strongest first.
--
-- Parameters:
--   group_rule text = video: together means 'moment' at the same moment, 'video' in one video, 'day' at one camera that day
--   period text = all: a month like 2013-05, a year like 2013, or all
--   limit integer = 20: at most this many rows
--
-- Topic: company
-- Chart: bar strength by anim_id
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
            CASE side.is_b WHEN 0 THEN v.anim_id_a ELSE v.anim_id_b END AS anim_id,
            v.x,
            v.sri,
            v.sri_denominator
        FROM v_dyad AS v
        CROSS JOIN (
            SELECT 0 AS is_b
            UNION ALL
            SELECT 1 AS is_b
        ) AS side
        WHERE v.group_rule = :group_rule AND v.period = :period AND v.sri IS NOT NULL
    ) AS d
    GROUP BY d.anim_id
) AS ranked
WHERE ranked.place <= :limit
ORDER BY ranked.place
