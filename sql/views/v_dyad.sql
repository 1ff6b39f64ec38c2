-- How often two individuals were together: association indices with what they are made of. One row: a rule, a period and two
-- individuals (individual_a < individual_b) that were both alive and under study in it.
-- The sampling unit is a day; only days count on which both were alive and under study (both_alive, of n_units days on which
-- any camera recorded). x: days together; y_ab: both seen, apart; y_a, y_b: only the one seen.
-- group_rule: together is 'moment' visible at the same moment, 'video' in one video, 'day' in the party of one camera.
-- sri = x / sri_denominator (x + y_ab + y_a + y_b), hwi = x / hwi_denominator (x + y_ab + (y_a + y_b) / 2); null where
-- neither was seen (Cairns and Schwager 1987; asnipe, aninet).
-- period_kind 'month' (period 2013-05), 'year' (2013) or 'all' (all). seconds_together counts what was at the same moment.
-- Everybody is counted with everybody once, whatever is asked: days of two individuals are differences of the running counts of
-- `study`, for a row for each day and two individuals would be a hundred times as many. MATERIALIZED, for SQLite would work
-- out who each track is again for each pair. Outer joins where an inner one would say the same: no database reorders them, and
-- none knows how many rows these lists have; for the same reason an individual and a day are one number there (`place`).
WITH named AS MATERIALIZED (
    SELECT
        n.track_id,
        n.video_id,
        n.individual_id,
        t.first_s,
        t.last_s,
        COALESCE(v.frame_s, v.duration_s, 0) AS frame_s,
        v.recorded_on,
        p.party_id
    FROM v_named_track AS n
    INNER JOIN track AS t ON t.track_id = n.track_id
    INNER JOIN video AS v ON v.video_id = n.video_id
    INNER JOIN v_video_party AS p ON p.video_id = n.video_id
),
lives AS MATERIALIZED (
    SELECT
        i.individual_id,
        i.anim_id,
        i.from_day_no,
        i.until_day_no
    FROM v_individual_day AS i
),
sampling AS MATERIALIZED (
    SELECT
        d.recorded_on,
        d.day_no,
        d.month
    FROM v_sampling_day AS d
),
seen AS MATERIALIZED (
    SELECT DISTINCT
        n.individual_id,
        d.recorded_on,
        d.day_no,
        d.month
    FROM named AS n
    INNER JOIN sampling AS d ON d.recorded_on = n.recorded_on
    INNER JOIN lives AS i ON i.individual_id = n.individual_id
    WHERE d.day_no >= i.from_day_no AND d.day_no <= i.until_day_no
),
member AS MATERIALIZED (
    SELECT DISTINCT
        n.party_id,
        n.recorded_on,
        n.individual_id
    FROM named AS n
),
kinds AS (
    SELECT 'month' AS period_kind
    UNION ALL
    SELECT 'year' AS period_kind
    UNION ALL
    SELECT 'all' AS period_kind
),
met_day AS (
    SELECT
        u.individual_a,
        u.individual_b,
        u.recorded_on,
        MAX(u.month) AS month,
        CASE WHEN SUM(u.seconds) > 0 THEN 1 ELSE 0 END AS at_once,
        CASE WHEN SUM(u.n_videos) > 0 THEN 1 ELSE 0 END AS in_video,
        MAX(u.in_party) AS in_party,
        SUM(u.n_videos) AS n_videos,
        SUM(u.seconds) AS seconds
    FROM (
        SELECT
            a.individual_id AS individual_a,
            b.individual_id AS individual_b,
            a.recorded_on,
            a.month,
            1 AS both_seen,
            0 AS in_party,
            0 AS n_videos,
            CAST(0 AS FLOAT) AS seconds
        FROM seen AS a
        INNER JOIN seen AS b ON b.day_no = a.day_no AND b.individual_id > a.individual_id
        UNION ALL
        SELECT
            a.individual_id AS individual_a,
            b.individual_id AS individual_b,
            a.recorded_on,
            CAST(NULL AS VARCHAR(7)) AS month,
            0 AS both_seen,
            1 AS in_party,
            0 AS n_videos,
            CAST(0 AS FLOAT) AS seconds
        FROM member AS a
        INNER JOIN member AS b ON b.party_id = a.party_id AND b.individual_id > a.individual_id
        UNION ALL
        SELECT
            a.individual_id AS individual_a,
            b.individual_id AS individual_b,
            a.recorded_on,
            CAST(NULL AS VARCHAR(7)) AS month,
            0 AS both_seen,
            1 AS in_party,
            COUNT(DISTINCT a.video_id) AS n_videos,
            SUM(
                CASE
                    WHEN a.first_s > b.last_s OR b.first_s > a.last_s THEN CAST(0 AS FLOAT)
                    ELSE
                        CASE WHEN a.last_s < b.last_s THEN a.last_s ELSE b.last_s END
                        - CASE WHEN a.first_s > b.first_s THEN a.first_s ELSE b.first_s END
                        + a.frame_s
                END
            ) AS seconds
        FROM named AS a
        INNER JOIN named AS b ON b.video_id = a.video_id AND b.individual_id > a.individual_id
        GROUP BY a.individual_id, b.individual_id, a.recorded_on
    ) AS u
    GROUP BY u.individual_a, u.individual_b, u.recorded_on
    HAVING MAX(u.both_seen) = 1
),
met AS MATERIALIZED (
    SELECT
        k.period_kind,
        CASE k.period_kind WHEN 'month' THEN m.month WHEN 'year' THEN SUBSTRING(m.month, 1, 4) ELSE 'all' END AS period,
        m.individual_a,
        m.individual_b,
        COUNT(*) AS days_both,
        SUM(m.at_once) AS days_at_once,
        SUM(m.in_video) AS days_in_video,
        SUM(m.in_party) AS days_in_party,
        SUM(m.n_videos) AS videos_together,
        SUM(m.seconds) AS seconds_together
    FROM met_day AS m
    CROSS JOIN kinds AS k
    GROUP BY k.period_kind, CASE k.period_kind WHEN 'month' THEN m.month WHEN 'year' THEN SUBSTRING(m.month, 1, 4) ELSE 'all' END, m.individual_a, m.individual_b
),
study AS MATERIALIZED (
    SELECT
        i.individual_id,
        i.individual_id * 10000000 + d.day_no AS place,
        d.day_no,
        d.month,
        CASE WHEN s.individual_id IS NULL THEN 0 ELSE 1 END AS seen_today,
        ROW_NUMBER() OVER (PARTITION BY i.individual_id ORDER BY d.day_no) AS nth_unit,
        COUNT(s.individual_id) OVER (PARTITION BY i.individual_id ORDER BY d.day_no ROWS UNBOUNDED PRECEDING) AS n_seen
    FROM lives AS i
    INNER JOIN sampling AS d ON d.day_no >= i.from_day_no AND d.day_no <= i.until_day_no
    LEFT OUTER JOIN seen AS s ON s.individual_id = i.individual_id AND s.day_no = d.day_no
),
span AS MATERIALIZED (
    SELECT
        k.period_kind,
        CASE k.period_kind WHEN 'month' THEN s.month WHEN 'year' THEN SUBSTRING(s.month, 1, 4) ELSE 'all' END AS period,
        s.individual_id,
        MIN(s.day_no) AS first_day_no,
        MAX(s.day_no) AS last_day_no
    FROM study AS s
    CROSS JOIN kinds AS k
    GROUP BY k.period_kind, CASE k.period_kind WHEN 'month' THEN s.month WHEN 'year' THEN SUBSTRING(s.month, 1, 4) ELSE 'all' END, s.individual_id
),
unit AS MATERIALIZED (
    SELECT
        k.period_kind,
        CASE k.period_kind WHEN 'month' THEN d.month WHEN 'year' THEN SUBSTRING(d.month, 1, 4) ELSE 'all' END AS period,
        COUNT(*) AS n_units
    FROM sampling AS d
    CROSS JOIN kinds AS k
    GROUP BY k.period_kind, CASE k.period_kind WHEN 'month' THEN d.month WHEN 'year' THEN SUBSTRING(d.month, 1, 4) ELSE 'all' END
),
pair AS (
    SELECT
        d.period_kind,
        d.period,
        d.individual_a,
        d.individual_b,
        CAST(la.nth_unit - fa.nth_unit + 1 AS INTEGER) AS both_alive,
        CAST(la.n_seen - fa.n_seen + fa.seen_today AS INTEGER) AS days_a,
        CAST(lb.n_seen - fb.n_seen + fb.seen_today AS INTEGER) AS days_b
    FROM (
        SELECT
            a.period_kind,
            a.period,
            a.individual_id AS individual_a,
            b.individual_id AS individual_b,
            CASE WHEN a.first_day_no > b.first_day_no THEN a.first_day_no ELSE b.first_day_no END AS first_day_no,
            CASE WHEN a.last_day_no < b.last_day_no THEN a.last_day_no ELSE b.last_day_no END AS last_day_no
        FROM span AS a
        INNER JOIN span AS b
            ON b.period_kind = a.period_kind AND b.period = a.period AND b.individual_id > a.individual_id
    ) AS d
    LEFT OUTER JOIN study AS fa ON fa.place = d.individual_a * 10000000 + d.first_day_no
    LEFT OUTER JOIN study AS la ON la.place = d.individual_a * 10000000 + d.last_day_no
    LEFT OUTER JOIN study AS fb ON fb.place = d.individual_b * 10000000 + d.first_day_no
    LEFT OUTER JOIN study AS lb ON lb.place = d.individual_b * 10000000 + d.last_day_no
    WHERE d.first_day_no <= d.last_day_no
)
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
        a.anim_id AS anim_id_a,
        p.individual_b,
        b.anim_id AS anim_id_b,
        CAST(
            COALESCE(CASE k.group_rule WHEN 'moment' THEN m.days_at_once WHEN 'video' THEN m.days_in_video ELSE m.days_in_party END, 0)
            AS INTEGER
        ) AS x,
        p.days_a,
        p.days_b,
        CAST(COALESCE(m.days_both, 0) AS INTEGER) AS days_both,
        CAST(n.n_units AS INTEGER) AS n_units,
        p.both_alive,
        CAST(COALESCE(m.videos_together, 0) AS INTEGER) AS videos_together,
        COALESCE(m.seconds_together, 0) AS seconds_together
    FROM pair AS p
    INNER JOIN unit AS n ON n.period_kind = p.period_kind AND n.period = p.period
    INNER JOIN lives AS a ON a.individual_id = p.individual_a
    INNER JOIN lives AS b ON b.individual_id = p.individual_b
    LEFT OUTER JOIN met AS m
        ON m.period_kind = p.period_kind AND m.period = p.period AND m.individual_a = p.individual_a AND m.individual_b = p.individual_b
    CROSS JOIN (
        SELECT 'moment' AS group_rule
        UNION ALL
        SELECT 'video' AS group_rule
        UNION ALL
        SELECT 'day' AS group_rule
    ) AS k
) AS r
