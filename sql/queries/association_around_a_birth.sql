-- How did the social network of a mother change after an infant was born?
--
-- Her association with each partner in the days before and after the birth. One row: a partner, the greatest change first.
--
-- Parameters:
--   infant text = ME: AnimID of the infant
--   days integer = 365: days before the birth, and as many from it on
--   without_under integer = 0: years below which individuals with their mother are left out, as 5; 0: everybody counts
--   group_rule text = day: together means 'moment' at the same moment, 'video' in one video, 'day' at one camera that day
--
-- Topic: families
-- Chart: bar change by partner
--
-- sri_before, sri_after: simple ratio index over the days on which one of the two was seen; null where neither was.
-- Tracks of the days around the birth are listed once, and hers joined to them: the same as v_dyad_event says, without the days
-- of everybody else. Who is left out counts from that age on, or from the day after its mother died or disappeared.
WITH lives AS MATERIALIZED (
    SELECT
        s.individual_id,
        s.anim_id,
        s.mom_id,
        s.born_day_no,
        CASE
            WHEN s.alone_day_no > s.from_day_no THEN s.alone_day_no
            ELSE s.from_day_no
        END AS from_day_no,
        s.until_day_no
    FROM (
        SELECT
            i.individual_id,
            i.anim_id,
            i.mom_id,
            i.born_day_no,
            i.from_day_no,
            i.until_day_no,
            CASE
                WHEN CAST(:without_under AS INTEGER) = 0 THEN NULL
                WHEN
                    m.depart_type IN ('D', 'P')
                    AND m.depart_day_no + 1 < i.born_day_no + CAST(:without_under AS INTEGER) * 1461 / 4
                    THEN m.depart_day_no + 1
                ELSE i.born_day_no + CAST(:without_under AS INTEGER) * 1461 / 4
            END AS alone_day_no
        FROM v_individual_day AS i
        LEFT OUTER JOIN v_individual_day AS m ON m.individual_id = i.mom_id
    ) AS s
),
birth AS MATERIALIZED (
    SELECT
        c.individual_id AS infant_id,
        c.mom_id,
        c.born_day_no,
        m.from_day_no,
        m.until_day_no
    FROM lives AS c
    INNER JOIN lives AS m ON m.individual_id = c.mom_id
    WHERE c.anim_id = :infant
),
named AS MATERIALIZED (
    SELECT
        n.individual_id,
        d.day_no,
        CASE CAST(:group_rule AS VARCHAR(10)) WHEN 'day' THEN p.party_id ELSE n.video_id END AS place,
        CASE CAST(:group_rule AS VARCHAR(10)) WHEN 'moment' THEN t.first_s ELSE 0 END AS first_s,
        CASE CAST(:group_rule AS VARCHAR(10)) WHEN 'moment' THEN t.last_s ELSE 0 END AS last_s
    FROM v_named_track AS n
    INNER JOIN track AS t ON t.track_id = n.track_id
    INNER JOIN v_video_day AS d ON d.video_id = n.video_id
    INNER JOIN v_video_party AS p ON p.video_id = n.video_id
    CROSS JOIN birth AS b
    WHERE d.day_no >= b.born_day_no - :days AND d.day_no < b.born_day_no + :days
),
seen AS MATERIALIZED (
    SELECT DISTINCT
        n.individual_id,
        n.day_no
    FROM named AS n
),
mother AS MATERIALIZED (
    SELECT
        b.infant_id,
        b.mom_id,
        b.born_day_no,
        s.day_no
    FROM birth AS b
    INNER JOIN seen AS s
        ON s.individual_id = b.mom_id AND s.day_no >= b.from_day_no AND s.day_no <= b.until_day_no
),
company AS MATERIALIZED (
    SELECT DISTINCT
        o.individual_id,
        o.day_no
    FROM birth AS b
    INNER JOIN named AS n ON n.individual_id = b.mom_id
    INNER JOIN named AS o
        ON o.place = n.place AND o.individual_id <> n.individual_id AND o.first_s <= n.last_s AND n.first_s <= o.last_s
)
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
                l.anim_id AS partner,
                m.day_no,
                CASE WHEN w.individual_id IS NULL THEN 0 ELSE 1 END AS together,
                m.born_day_no
            FROM mother AS m
            INNER JOIN lives AS l
                ON
                    l.individual_id <> m.mom_id
                    AND l.individual_id <> m.infant_id
                    AND m.day_no >= l.from_day_no
                    AND m.day_no <= l.until_day_no
            LEFT OUTER JOIN company AS w ON w.individual_id = l.individual_id AND w.day_no = m.day_no
            UNION ALL
            SELECT
                l.anim_id AS partner,
                o.day_no,
                0 AS together,
                b.born_day_no
            FROM seen AS o
            CROSS JOIN birth AS b
            INNER JOIN lives AS l
                ON l.individual_id = o.individual_id AND o.day_no >= l.from_day_no AND o.day_no <= l.until_day_no
            LEFT OUTER JOIN mother AS m ON m.day_no = o.day_no
            WHERE
                o.individual_id <> b.mom_id
                AND o.individual_id <> b.infant_id
                AND o.day_no >= b.from_day_no
                AND o.day_no <= b.until_day_no
                AND m.day_no IS NULL
        ) AS e
        GROUP BY e.partner
    ) AS s
) AS c
ORDER BY
    CASE WHEN c.sri_after IS NULL OR c.sri_before IS NULL THEN 1 ELSE 0 END,
    ABS(c.sri_after - c.sri_before) DESC,
    c.partner
