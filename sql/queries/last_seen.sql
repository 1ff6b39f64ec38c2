-- Who has not been seen for long, although cameras ran?
--
-- One row: an individual without a departure, the longest unseen first; individuals never seen come first.
--
-- Parameters:
--   min_days integer = 0: at least this many calendar days unseen
--   limit integer = 20: at most this many rows
--
-- Topic: presence
-- Chart: bar days_unseen by anim_id
SELECT
    ranked.place,
    ranked.anim_id,
    ranked.sex,
    ranked.last_seen,
    ranked.days_unseen,
    ranked.longest_absence,
    ranked.n_days_seen,
    ranked.effort_days_since,
    ranked.hours_recorded_since
FROM (
    SELECT
        l.anim_id,
        l.sex,
        l.last_seen,
        l.days_unseen,
        l.longest_absence,
        l.n_days_seen,
        l.effort_days_since,
        l.recorded_s_since / 3600 AS hours_recorded_since,
        ROW_NUMBER() OVER (
            ORDER BY CASE WHEN l.last_seen IS NULL THEN 0 ELSE 1 END, l.days_unseen DESC, l.anim_id
        ) AS place
    FROM v_dispersal_last_seen AS l
    WHERE l.departed = 0 AND (l.last_seen IS NULL OR l.days_unseen >= :min_days)
) AS ranked
WHERE ranked.place <= :limit
ORDER BY ranked.place
