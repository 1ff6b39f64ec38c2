-- The counts of v_dyad by month. One row: a month and two individuals (individual_a < individual_b) that were both alive and
-- under study on a day of it on which any camera recorded.
-- both_alive: such days. days_a, days_b: of them, days on which the one was seen; days_both: both, anywhere; days_at_once,
-- days_in_video, days_in_party: together by each rule.
-- Each month of two individuals has one row of the second part, which is kept. Windows rather than GROUP BY, as in v_sighting.
SELECT
    w.month,
    w.individual_a,
    w.anim_id_a,
    w.individual_b,
    w.anim_id_b,
    w.n_units,
    w.both_alive,
    CAST(w.sum_days_a AS INTEGER) AS days_a,
    CAST(w.sum_days_b AS INTEGER) AS days_b,
    CAST(w.sum_days_both AS INTEGER) AS days_both,
    CAST(w.sum_days_at_once AS INTEGER) AS days_at_once,
    CAST(w.sum_days_in_video AS INTEGER) AS days_in_video,
    CAST(w.sum_days_in_party AS INTEGER) AS days_in_party,
    CAST(w.sum_videos_together AS INTEGER) AS videos_together,
    w.sum_seconds_at_once AS seconds_at_once
FROM (
    SELECT
        u.month,
        u.individual_a,
        u.anim_id_a,
        u.individual_b,
        u.anim_id_b,
        u.n_units,
        u.both_alive,
        SUM(u.seen_a)
            OVER (PARTITION BY u.month, u.individual_a, u.anim_id_a, u.individual_b, u.anim_id_b)
            AS sum_days_a,
        SUM(u.seen_b)
            OVER (PARTITION BY u.month, u.individual_a, u.anim_id_a, u.individual_b, u.anim_id_b)
            AS sum_days_b,
        SUM(u.seen_a * u.seen_b)
            OVER (PARTITION BY u.month, u.individual_a, u.anim_id_a, u.individual_b, u.anim_id_b)
            AS sum_days_both,
        SUM(u.at_once)
            OVER (PARTITION BY u.month, u.individual_a, u.anim_id_a, u.individual_b, u.anim_id_b)
            AS sum_days_at_once,
        SUM(u.in_video)
            OVER (PARTITION BY u.month, u.individual_a, u.anim_id_a, u.individual_b, u.anim_id_b)
            AS sum_days_in_video,
        SUM(u.in_party)
            OVER (PARTITION BY u.month, u.individual_a, u.anim_id_a, u.individual_b, u.anim_id_b)
            AS sum_days_in_party,
        SUM(u.n_videos)
            OVER (PARTITION BY u.month, u.individual_a, u.anim_id_a, u.individual_b, u.anim_id_b)
            AS sum_videos_together,
        SUM(u.seconds_at_once)
            OVER (PARTITION BY u.month, u.individual_a, u.anim_id_a, u.individual_b, u.anim_id_b)
            AS sum_seconds_at_once
    FROM (
        SELECT
            d.month,
            d.individual_a,
            d.anim_id_a,
            d.individual_b,
            d.anim_id_b,
            0 AS n_units,
            0 AS both_alive,
            d.seen_a,
            d.seen_b,
            d.at_once,
            d.in_video,
            d.in_party,
            d.n_videos,
            d.seconds_at_once
        FROM v_dyad_day AS d
        UNION ALL
        SELECT
            ma.month,
            ma.individual_id AS individual_a,
            ma.anim_id AS anim_id_a,
            mb.individual_id AS individual_b,
            mb.anim_id AS anim_id_b,
            ma.n_units,
            CASE WHEN ma.n_until < mb.n_until THEN ma.n_until ELSE mb.n_until END
            - CASE WHEN ma.n_before > mb.n_before THEN ma.n_before ELSE mb.n_before END AS both_alive,
            0 AS seen_a,
            0 AS seen_b,
            0 AS at_once,
            0 AS in_video,
            0 AS in_party,
            0 AS n_videos,
            CAST(0 AS FLOAT) AS seconds_at_once
        FROM v_alive_month AS ma
        INNER JOIN v_alive_month AS mb ON mb.month = ma.month AND mb.individual_id > ma.individual_id
    ) AS u
) AS w
WHERE w.both_alive > 0
