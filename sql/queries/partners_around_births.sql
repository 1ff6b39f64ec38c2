-- Do mothers have fewer partners after a birth than before it?
--
-- Partners are others in one video with the mother, her children left out. One row: a birth while cameras recorded.
--
-- Parameters:
--   days integer = 365: days before the birth, and as many from it on
--
-- Topic: families
-- Chart: bar change_per_day by infant
--
-- Divide by the days on which she was seen: a mother who hides has fewer partners in all, not fewer at a time. For one
-- infant, partner by partner: association_around_a_birth.
SELECT
    w.mother,
    w.infant,
    w.days_before,
    w.partners_before,
    w.per_day_before,
    w.days_after,
    w.partners_after,
    w.per_day_after,
    w.per_day_after - w.per_day_before AS change_per_day
FROM (
    SELECT
        g.mother,
        g.infant,
        g.days_before,
        g.partners_before,
        CASE WHEN g.days_before > 0 THEN CAST(g.meetings_before AS FLOAT) / g.days_before END AS per_day_before,
        g.days_after,
        g.partners_after,
        CASE WHEN g.days_after > 0 THEN CAST(g.meetings_after AS FLOAT) / g.days_after END AS per_day_after
    FROM (
        SELECT
            u.mother,
            u.infant,
            COUNT(DISTINCT CASE WHEN u.since < 0 THEN u.day_no END) AS days_before,
            COUNT(DISTINCT CASE WHEN u.since < 0 THEN u.partner END) AS partners_before,
            COUNT(DISTINCT CASE WHEN u.since < 0 THEN u.partner * 10000000 + u.day_no END) AS meetings_before,
            COUNT(DISTINCT CASE WHEN u.since >= 0 THEN u.day_no END) AS days_after,
            COUNT(DISTINCT CASE WHEN u.since >= 0 THEN u.partner END) AS partners_after,
            COUNT(DISTINCT CASE WHEN u.since >= 0 THEN u.partner * 10000000 + u.day_no END) AS meetings_after
        FROM (
            SELECT
                m.anim_id AS mother,
                c.anim_id AS infant,
                d.day_no,
                d.day_no - c.born_day_no AS since,
                o.individual_id AS partner
            FROM v_individual_day AS c
            INNER JOIN v_individual_day AS m ON m.individual_id = c.mom_id
            INNER JOIN v_sighting AS s ON s.individual_id = m.individual_id
            INNER JOIN v_video_day AS d
                ON d.video_id = s.video_id AND d.day_no >= c.born_day_no - :days AND d.day_no < c.born_day_no + :days
            LEFT OUTER JOIN (
                SELECT
                    n.individual_id,
                    n.video_id,
                    i.mom_id
                FROM v_sighting AS n
                INNER JOIN v_individual_day AS i ON i.individual_id = n.individual_id
            ) AS o
                ON
                    o.video_id = s.video_id
                    AND o.individual_id <> m.individual_id
                    AND (o.mom_id IS NULL OR o.mom_id <> m.individual_id)
        ) AS u
        GROUP BY u.mother, u.infant
    ) AS g
) AS w
ORDER BY w.mother, w.infant
