-- Which two individuals were never seen together, although both were seen often?
--
-- One row: two individuals, those who would have met most often first.
--
-- Parameters:
--   group_rule text = day: together means 'moment' at the same moment, 'video' in one video, 'day' at one camera that day
--   min_days integer = 2: each of them was seen on at least so many days on which both were alive and under study
--   limit integer = 20: at most this many rows
--
-- Topic: company
--
-- expected_days: days on which both would be seen if each came by chance, independent of the other; met_same_day: days on
-- which both were seen somewhere.
SELECT
    ranked.place,
    ranked.anim_id_a,
    ranked.anim_id_b,
    ranked.days_a,
    ranked.days_b,
    ranked.both_alive,
    ranked.expected_days,
    ranked.met_same_day
FROM (
    SELECT
        p.anim_id_a,
        p.anim_id_b,
        p.days_a,
        p.days_b,
        p.both_alive,
        CAST(p.days_a AS FLOAT) * p.days_b / p.both_alive AS expected_days,
        p.met_same_day,
        ROW_NUMBER() OVER (ORDER BY CAST(p.days_a AS FLOAT) * p.days_b / p.both_alive DESC, p.anim_id_a, p.anim_id_b) AS place
    FROM (
        SELECT
            d.anim_id_a,
            d.anim_id_b,
            d.y_a + d.y_ab AS days_a,
            d.y_b + d.y_ab AS days_b,
            d.y_ab AS met_same_day,
            d.both_alive
        FROM v_dyad AS d
        WHERE d.group_rule = :group_rule AND d.period_kind = 'all' AND d.x = 0
    ) AS p
    WHERE p.days_a >= :min_days AND p.days_b >= :min_days
) AS ranked
WHERE ranked.place <= :limit
ORDER BY ranked.place
