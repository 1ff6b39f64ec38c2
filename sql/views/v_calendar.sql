-- Every day from the first recording or deployment to the last, without a gap. One row: a day.
-- day_no is a Julian day number; back to a date by Fliegel and Van Flandern (1968). A moved decimal in one file's date
-- makes this long, never wrong: at most 100,000 days.
SELECT
    y.day_no,
    y.year,
    REPLACE(
        REPLACE(
            REPLACE('Y-M-D', 'Y', SUBSTRING(CAST(10000 + y.year AS VARCHAR(5)), 2, 4)),
            'M',
            SUBSTRING(CAST(100 + y.month_of_year AS VARCHAR(3)), 2, 2)
        ),
        'D',
        SUBSTRING(CAST(100 + y.day_of_month AS VARCHAR(3)), 2, 2)
    ) AS day,
    REPLACE(
        REPLACE('Y-M', 'Y', SUBSTRING(CAST(10000 + y.year AS VARCHAR(5)), 2, 4)),
        'M',
        SUBSTRING(CAST(100 + y.month_of_year AS VARCHAR(3)), 2, 2)
    ) AS month
FROM (
    SELECT
        x.day_no,
        100 * (x.n - 49) + x.i + x.j / 11 AS year,
        x.j + 2 - 12 * (x.j / 11) AS month_of_year,
        x.l - 2447 * x.j / 80 AS day_of_month
    FROM (
        SELECT
            w.day_no,
            w.n,
            w.i,
            w.l,
            80 * w.l / 2447 AS j
        FROM (
            SELECT
                v.day_no,
                v.n,
                v.i,
                v.l - 1461 * v.i / 4 + 31 AS l
            FROM (
                SELECT
                    u.day_no,
                    u.n,
                    u.l,
                    4000 * (u.l + 1) / 1461001 AS i
                FROM (
                    SELECT
                        s.day_no,
                        4 * (s.day_no + 68569) / 146097 AS n,
                        s.day_no + 68569 - (146097 * (4 * (s.day_no + 68569) / 146097) + 3) / 4 AS l
                    FROM (
                        SELECT span.first_day_no + a.n * 10000 + b.n * 1000 + c.n * 100 + d.n * 10 + e.n AS day_no
                        FROM (
                            SELECT
                                MIN(known.day_no) AS first_day_no,
                                MAX(known.day_no) - MIN(known.day_no) AS days
                            FROM (
                                SELECT rv.day_no
                                FROM v_video_day AS rv
                                UNION ALL
                                SELECT ds.start_day_no AS day_no
                                FROM v_deployment_day AS ds
                                UNION ALL
                                SELECT de.end_day_no AS day_no
                                FROM v_deployment_day AS de
                            ) AS known
                        ) AS span
                        INNER JOIN v_digit AS a ON a.n * 10000 <= span.days
                        INNER JOIN v_digit AS b ON a.n * 10000 + b.n * 1000 <= span.days
                        INNER JOIN v_digit AS c ON a.n * 10000 + b.n * 1000 + c.n * 100 <= span.days
                        INNER JOIN v_digit AS d ON a.n * 10000 + b.n * 1000 + c.n * 100 + d.n * 10 <= span.days
                        INNER JOIN v_digit AS e
                            ON a.n * 10000 + b.n * 1000 + c.n * 100 + d.n * 10 + e.n <= span.days
                    ) AS s
                ) AS u
            ) AS v
        ) AS w
    ) AS x
) AS y
