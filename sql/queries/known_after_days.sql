-- After how many days of recordings had how many individuals been seen?
--
-- The accumulation curve: where it is flat, the cameras know who lives there. One row: a day on which somebody was seen for
-- the first time.
--
-- Parameters: none
--
-- Topic: presence
-- Chart: line n_known by n_days
SELECT
    d.day,
    d.n_days,
    f.n_new,
    SUM(f.n_new) OVER (ORDER BY d.day_no ROWS UNBOUNDED PRECEDING) AS n_known
FROM (
    SELECT
        s.day,
        s.day_no,
        ROW_NUMBER() OVER (ORDER BY s.day_no) AS n_days
    FROM v_sampling_day AS s
) AS d
INNER JOIN (
    SELECT
        g.first_day_no,
        COUNT(*) AS n_new
    FROM (
        SELECT
            w.individual_id,
            MIN(w.day_no) AS first_day_no
        FROM v_seen_day AS w
        GROUP BY w.individual_id
    ) AS g
    GROUP BY g.first_day_no
) AS f ON f.first_day_no = d.day_no
ORDER BY d.n_days
