-- How often two individuals were together: association indices with what they are made of. One row: a rule, a period and two
-- individuals (individual_a < individual_b) that were both alive and under study in it.
-- The sampling unit is a day; only days count on which both were alive and under study (both_alive, of n_units days on which
-- any camera recorded). x: days together; y_ab: both seen, apart; y_a, y_b: only the one seen.
-- group_rule: together is 'moment' visible at the same moment, 'video' in one video, 'day' in the party of one camera.
-- sri = x / sri_denominator (x + y_ab + y_a + y_b), hwi = x / hwi_denominator (x + y_ab + (y_a + y_b) / 2); null where
-- neither was seen (Cairns and Schwager 1987; asnipe, aninet).
-- period_kind 'month' (period 2013-05), 'year' (2013) or 'all' (all). seconds_together counts what was at the same moment.
-- Windows rather than GROUP BY, as in v_sighting.
SELECT
    r.group_rule,
    r.period_kind,
    r.period,
    r.individual_a,
    r.anim_id_a,
    r.individual_b,
    r.anim_id_b,
    r.x,
    r.days_a - r.days_both AS y_a,
    r.days_b - r.days_both AS y_b,
    r.days_both - r.x AS y_ab,
    r.n_units,
    r.both_alive,
    r.videos_together,
    r.seconds_together,
    r.days_a + r.days_b - r.days_both AS sri_denominator,
    (r.days_a + r.days_b) / CAST(2 AS FLOAT) AS hwi_denominator,
    CASE
        WHEN r.days_a + r.days_b > 0 THEN CAST(r.x AS FLOAT) / (r.days_a + r.days_b - r.days_both)
    END AS sri,
    CASE WHEN r.days_a + r.days_b > 0 THEN CAST(r.x AS FLOAT) * 2 / (r.days_a + r.days_b) END AS hwi
FROM (
    SELECT
        k.group_rule,
        p.period_kind,
        p.period,
        p.individual_a,
        p.anim_id_a,
        p.individual_b,
        p.anim_id_b,
        CASE k.group_rule
            WHEN 'moment' THEN p.days_at_once
            WHEN 'video' THEN p.days_in_video
            ELSE p.days_in_party
        END AS x,
        p.days_a,
        p.days_b,
        p.days_both,
        p.n_units,
        p.both_alive,
        p.videos_together,
        p.seconds_at_once AS seconds_together
    FROM (
        SELECT
            'month' AS period_kind,
            m.month AS period,
            m.individual_a,
            m.anim_id_a,
            m.individual_b,
            m.anim_id_b,
            m.n_units,
            m.both_alive,
            m.days_a,
            m.days_b,
            m.days_both,
            m.days_at_once,
            m.days_in_video,
            m.days_in_party,
            m.videos_together,
            m.seconds_at_once
        FROM v_dyad_month AS m
        UNION ALL
        SELECT
            'year' AS period_kind,
            y.period,
            y.individual_a,
            y.anim_id_a,
            y.individual_b,
            y.anim_id_b,
            n.n_units,
            CAST(y.sum_both_alive AS INTEGER) AS both_alive,
            CAST(y.sum_days_a AS INTEGER) AS days_a,
            CAST(y.sum_days_b AS INTEGER) AS days_b,
            CAST(y.sum_days_both AS INTEGER) AS days_both,
            CAST(y.sum_days_at_once AS INTEGER) AS days_at_once,
            CAST(y.sum_days_in_video AS INTEGER) AS days_in_video,
            CAST(y.sum_days_in_party AS INTEGER) AS days_in_party,
            CAST(y.sum_videos_together AS INTEGER) AS videos_together,
            y.sum_seconds_at_once AS seconds_at_once
        FROM (
            SELECT
                SUBSTRING(m.month, 1, 4) AS period,
                m.month,
                m.individual_a,
                m.anim_id_a,
                m.individual_b,
                m.anim_id_b,
                MIN(m.month) OVER (PARTITION BY m.individual_a, m.anim_id_a, m.individual_b, m.anim_id_b, SUBSTRING(m.month, 1, 4)) AS first_month,
                SUM(m.both_alive)
                    OVER (PARTITION BY m.individual_a, m.anim_id_a, m.individual_b, m.anim_id_b, SUBSTRING(m.month, 1, 4))
                    AS sum_both_alive,
                SUM(m.days_a)
                    OVER (PARTITION BY m.individual_a, m.anim_id_a, m.individual_b, m.anim_id_b, SUBSTRING(m.month, 1, 4))
                    AS sum_days_a,
                SUM(m.days_b)
                    OVER (PARTITION BY m.individual_a, m.anim_id_a, m.individual_b, m.anim_id_b, SUBSTRING(m.month, 1, 4))
                    AS sum_days_b,
                SUM(m.days_both)
                    OVER (PARTITION BY m.individual_a, m.anim_id_a, m.individual_b, m.anim_id_b, SUBSTRING(m.month, 1, 4))
                    AS sum_days_both,
                SUM(m.days_at_once)
                    OVER (PARTITION BY m.individual_a, m.anim_id_a, m.individual_b, m.anim_id_b, SUBSTRING(m.month, 1, 4))
                    AS sum_days_at_once,
                SUM(m.days_in_video)
                    OVER (PARTITION BY m.individual_a, m.anim_id_a, m.individual_b, m.anim_id_b, SUBSTRING(m.month, 1, 4))
                    AS sum_days_in_video,
                SUM(m.days_in_party)
                    OVER (PARTITION BY m.individual_a, m.anim_id_a, m.individual_b, m.anim_id_b, SUBSTRING(m.month, 1, 4))
                    AS sum_days_in_party,
                SUM(m.videos_together)
                    OVER (PARTITION BY m.individual_a, m.anim_id_a, m.individual_b, m.anim_id_b, SUBSTRING(m.month, 1, 4))
                    AS sum_videos_together,
                SUM(m.seconds_at_once)
                    OVER (PARTITION BY m.individual_a, m.anim_id_a, m.individual_b, m.anim_id_b, SUBSTRING(m.month, 1, 4))
                    AS sum_seconds_at_once
            FROM v_dyad_month AS m
        ) AS y
        INNER JOIN (
            SELECT
                CAST(s.year AS VARCHAR(4)) AS period,
                COUNT(*) AS n_units
            FROM v_sampling_day AS s
            GROUP BY s.year
        ) AS n ON n.period = y.period
        WHERE y.month = y.first_month
        UNION ALL
        SELECT
            'all' AS period_kind,
            y.period,
            y.individual_a,
            y.anim_id_a,
            y.individual_b,
            y.anim_id_b,
            n.n_units,
            CAST(y.sum_both_alive AS INTEGER) AS both_alive,
            CAST(y.sum_days_a AS INTEGER) AS days_a,
            CAST(y.sum_days_b AS INTEGER) AS days_b,
            CAST(y.sum_days_both AS INTEGER) AS days_both,
            CAST(y.sum_days_at_once AS INTEGER) AS days_at_once,
            CAST(y.sum_days_in_video AS INTEGER) AS days_in_video,
            CAST(y.sum_days_in_party AS INTEGER) AS days_in_party,
            CAST(y.sum_videos_together AS INTEGER) AS videos_together,
            y.sum_seconds_at_once AS seconds_at_once
        FROM (
            SELECT
                'all' AS period,
                m.month,
                m.individual_a,
                m.anim_id_a,
                m.individual_b,
                m.anim_id_b,
                MIN(m.month) OVER (PARTITION BY m.individual_a, m.anim_id_a, m.individual_b, m.anim_id_b) AS first_month,
                SUM(m.both_alive)
                    OVER (PARTITION BY m.individual_a, m.anim_id_a, m.individual_b, m.anim_id_b)
                    AS sum_both_alive,
                SUM(m.days_a)
                    OVER (PARTITION BY m.individual_a, m.anim_id_a, m.individual_b, m.anim_id_b)
                    AS sum_days_a,
                SUM(m.days_b)
                    OVER (PARTITION BY m.individual_a, m.anim_id_a, m.individual_b, m.anim_id_b)
                    AS sum_days_b,
                SUM(m.days_both)
                    OVER (PARTITION BY m.individual_a, m.anim_id_a, m.individual_b, m.anim_id_b)
                    AS sum_days_both,
                SUM(m.days_at_once)
                    OVER (PARTITION BY m.individual_a, m.anim_id_a, m.individual_b, m.anim_id_b)
                    AS sum_days_at_once,
                SUM(m.days_in_video)
                    OVER (PARTITION BY m.individual_a, m.anim_id_a, m.individual_b, m.anim_id_b)
                    AS sum_days_in_video,
                SUM(m.days_in_party)
                    OVER (PARTITION BY m.individual_a, m.anim_id_a, m.individual_b, m.anim_id_b)
                    AS sum_days_in_party,
                SUM(m.videos_together)
                    OVER (PARTITION BY m.individual_a, m.anim_id_a, m.individual_b, m.anim_id_b)
                    AS sum_videos_together,
                SUM(m.seconds_at_once)
                    OVER (PARTITION BY m.individual_a, m.anim_id_a, m.individual_b, m.anim_id_b)
                    AS sum_seconds_at_once
            FROM v_dyad_month AS m
        ) AS y
        CROSS JOIN (
            SELECT COUNT(*) AS n_units
            FROM v_sampling_day AS s
        ) AS n
        WHERE y.month = y.first_month
    ) AS p
    CROSS JOIN (
        SELECT 'moment' AS group_rule
        UNION ALL
        SELECT 'video' AS group_rule
        UNION ALL
        SELECT 'day' AS group_rule
    ) AS k
) AS r
