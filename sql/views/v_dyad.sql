-- How often two individuals were together: association indices with what they are made of. One row: a rule, a period and two
-- individuals (individual_a < individual_b) that were both alive and under study in it.
-- The sampling unit is a day; only days count on which both were alive and under study (both_alive, of n_units days on which
-- any camera recorded). x: days together; y_ab: both seen, apart; y_a, y_b: only the one seen.
-- group_rule: together is 'moment' visible at the same moment (tracks of both ran at once in one video, its first and last
-- moments included, however long), 'video' in one video, 'day' in the party of one camera.
-- sri = x / sri_denominator (x + y_ab + y_a + y_b), hwi = x / hwi_denominator (x + y_ab + (y_a + y_b) / 2); null where
-- neither was seen (Cairns and Schwager 1987; asnipe, aninet).
-- period_kind 'month' (period 2013-05), 'year' (2013) or 'all' (all). seconds_together counts what was at the same moment.
-- Everybody is counted with everybody once, whatever is asked: days of two individuals are differences of the running counts of
-- `study`, for a row for each day and two individuals would be a hundred times as many. MATERIALIZED, for SQLite would work
-- out who each track is again for each pair. Outer joins where an inner one would say the same: no database reorders them, and
-- none knows how many rows these lists have; for the same reason an individual and a day are one number there (`place`).
-- SQL Server keeps no list: it puts the text of each in every place where it is named. So one list, `present`, says who was
-- where by day (kind 0, while under study), party (1) and video, track by track (2), and the four corners of a period with
-- two individuals are four rows, not four joins.
WITH lives AS MATERIALIZED (
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
present AS MATERIALIZED (
    SELECT
        n.individual_id,
        k.kind,
        CASE k.kind WHEN 0 THEN d.day_no WHEN 1 THEN p.party_id ELSE n.video_id END * 3 + k.kind AS place,
        d.recorded_on,
        d.day_no,
        d.month,
        MIN(t.first_s) AS first_s,
        MAX(t.last_s) AS last_s,
        MAX(COALESCE(v.frame_s, v.duration_s, 0)) AS frame_s
    FROM v_named_track AS n
    INNER JOIN track AS t ON t.track_id = n.track_id
    INNER JOIN video AS v ON v.video_id = n.video_id
    INNER JOIN v_video_party AS p ON p.video_id = n.video_id
    LEFT OUTER JOIN sampling AS d ON d.recorded_on = v.recorded_on
    LEFT OUTER JOIN lives AS i ON i.individual_id = n.individual_id
    CROSS JOIN (
        SELECT 0 AS kind
        UNION ALL
        SELECT 1 AS kind
        UNION ALL
        SELECT 2 AS kind
    ) AS k
    WHERE k.kind > 0 OR (d.day_no >= i.from_day_no AND d.day_no <= i.until_day_no)
    GROUP BY
        n.individual_id,
        k.kind,
        CASE k.kind WHEN 0 THEN d.day_no WHEN 1 THEN p.party_id ELSE n.video_id END * 3 + k.kind,
        CASE k.kind WHEN 2 THEN n.track_id ELSE 0 END,
        d.recorded_on,
        d.day_no,
        d.month
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
        u.month,
        MAX(u.at_once) AS at_once,
        CASE WHEN COUNT(DISTINCT u.video) > 0 THEN 1 ELSE 0 END AS in_video,
        MAX(u.in_party) AS in_party,
        COUNT(DISTINCT u.video) AS n_videos,
        SUM(u.seconds) AS seconds
    FROM (
        SELECT
            a.individual_id AS individual_a,
            b.individual_id AS individual_b,
            a.recorded_on,
            a.month,
            CASE WHEN a.kind = 0 THEN 1 ELSE 0 END AS both_seen,
            CASE WHEN a.kind > 0 THEN 1 ELSE 0 END AS in_party,
            CASE WHEN a.kind = 2 THEN a.place END AS video,
            CASE WHEN a.kind = 2 AND a.first_s <= b.last_s AND b.first_s <= a.last_s THEN 1 ELSE 0 END AS at_once,
            CASE
                WHEN a.kind < 2 OR a.first_s > b.last_s OR b.first_s > a.last_s THEN CAST(0 AS FLOAT)
                ELSE
                    CASE WHEN a.last_s < b.last_s THEN a.last_s ELSE b.last_s END
                    - CASE WHEN a.first_s > b.first_s THEN a.first_s ELSE b.first_s END
                    + a.frame_s
            END AS seconds
        FROM present AS a
        INNER JOIN present AS b ON b.place = a.place AND b.individual_id > a.individual_id
    ) AS u
    GROUP BY u.individual_a, u.individual_b, u.recorded_on, u.month
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
    LEFT OUTER JOIN present AS s ON s.place = d.day_no * 3 AND s.individual_id = i.individual_id
),
span AS MATERIALIZED (
    SELECT
        k.period_kind,
        CASE k.period_kind WHEN 'month' THEN d.month WHEN 'year' THEN SUBSTRING(d.month, 1, 4) ELSE 'all' END AS period,
        i.individual_id,
        MIN(d.day_no) AS first_day_no,
        MAX(d.day_no) AS last_day_no
    FROM lives AS i
    INNER JOIN sampling AS d ON d.day_no >= i.from_day_no AND d.day_no <= i.until_day_no
    CROSS JOIN kinds AS k
    GROUP BY k.period_kind, CASE k.period_kind WHEN 'month' THEN d.month WHEN 'year' THEN SUBSTRING(d.month, 1, 4) ELSE 'all' END, i.individual_id
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
        CAST(SUM(CASE c.corner WHEN 0 THEN 1 - f.nth_unit WHEN 1 THEN f.nth_unit ELSE 0 END) AS INTEGER) AS both_alive,
        CAST(SUM(CASE c.corner WHEN 0 THEN f.seen_today - f.n_seen WHEN 1 THEN f.n_seen ELSE 0 END) AS INTEGER) AS days_a,
        CAST(SUM(CASE c.corner WHEN 2 THEN f.seen_today - f.n_seen WHEN 3 THEN f.n_seen ELSE 0 END) AS INTEGER) AS days_b
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
    CROSS JOIN (
        SELECT 0 AS corner
        UNION ALL
        SELECT 1 AS corner
        UNION ALL
        SELECT 2 AS corner
        UNION ALL
        SELECT 3 AS corner
    ) AS c
    LEFT OUTER JOIN study AS f
        ON
            f.place = CASE WHEN c.corner < 2 THEN d.individual_a ELSE d.individual_b END * 10000000
            + CASE WHEN c.corner IN (0, 2) THEN d.first_day_no ELSE d.last_day_no END
    WHERE d.first_day_no <= d.last_day_no
    GROUP BY d.period_kind, d.period, d.individual_a, d.individual_b
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
