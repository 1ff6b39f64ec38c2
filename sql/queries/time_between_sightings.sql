-- How many days pass between two days on which an individual is seen?
--
-- One row: an individual that was seen on two days or more, the rarest guest first.
--
-- Parameters:
--   limit integer = 40: at most this many rows
--
-- Topic: presence
-- Chart: bar mean_days by anim_id
--
-- unseen_now: days from its last day to the last of the archive; where they are more than longest_days, something may have
-- happened.
SELECT
    ranked.place,
    ranked.anim_id,
    ranked.sex,
    ranked.n_gaps,
    ranked.mean_days,
    ranked.shortest_days,
    ranked.longest_days,
    ranked.unseen_now
FROM (
    SELECT
        i.anim_id,
        i.sex,
        g.n_gaps,
        g.mean_days,
        g.shortest_days,
        g.longest_days,
        e.last_day_no - g.last_day_no AS unseen_now,
        ROW_NUMBER() OVER (ORDER BY g.mean_days DESC, i.anim_id) AS place
    FROM (
        SELECT
            w.individual_id,
            COUNT(*) AS n_gaps,
            AVG(CAST(w.gap AS FLOAT)) AS mean_days,
            MIN(w.gap) AS shortest_days,
            MAX(w.gap) AS longest_days,
            MAX(w.day_no) AS last_day_no
        FROM (
            SELECT
                s.individual_id,
                s.day_no,
                s.day_no - LAG(s.day_no) OVER (PARTITION BY s.individual_id ORDER BY s.day_no) AS gap
            FROM v_seen_day AS s
        ) AS w
        WHERE w.gap IS NOT NULL
        GROUP BY w.individual_id
    ) AS g
    INNER JOIN v_individual_day AS i ON i.individual_id = g.individual_id
    CROSS JOIN (
        SELECT MAX(d.day_no) AS last_day_no
        FROM v_sampling_day AS d
    ) AS e
) AS ranked
WHERE ranked.place <= :limit
ORDER BY ranked.place
