-- For how much of each month's sampling an individual was alive and under study. One row: an individual and a month.
-- n_units: days of the month on which any camera recorded; n_before: of them, days before it was born or came; n_until: days
-- up to its departure. Alive together: the smaller n_until less the larger n_before.
-- Windows rather than GROUP BY, as in v_sighting.
SELECT
    w.individual_id,
    w.anim_id,
    w.month,
    CAST(w.n_units AS INTEGER) AS n_units,
    CAST(w.n_before AS INTEGER) AS n_before,
    CAST(w.n_until AS INTEGER) AS n_until
FROM (
    SELECT
        i.individual_id,
        i.anim_id,
        d.month,
        d.day_no,
        MIN(d.day_no) OVER (PARTITION BY i.individual_id, i.anim_id, d.month) AS first_day_no,
        COUNT(*) OVER (PARTITION BY i.individual_id, i.anim_id, d.month) AS n_units,
        SUM(CASE WHEN d.day_no < i.from_day_no THEN 1 ELSE 0 END) OVER (PARTITION BY i.individual_id, i.anim_id, d.month) AS n_before,
        SUM(CASE WHEN d.day_no <= i.until_day_no THEN 1 ELSE 0 END) OVER (PARTITION BY i.individual_id, i.anim_id, d.month) AS n_until
    FROM v_individual_day AS i
    CROSS JOIN v_sampling_day AS d
) AS w
WHERE w.day_no = w.first_day_no
