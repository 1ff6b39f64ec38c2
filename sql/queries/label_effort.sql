-- How many labels did each person give each week, and how many minutes did it take?
--
-- One row: a person in a week (Monday to Sunday, UTC).
--
-- Parameters: none
--
-- Topic: trust
-- Chart: line n_decisions by first_day for annotator
SELECT
    w.annotator,
    w.annotator_role,
    MIN(w.day) AS first_day,
    COUNT(*) AS n_decisions,
    SUM(w.retracted) AS n_retracted,
    SUM(w.seconds) / 60 AS minutes,
    AVG(w.seconds) AS seconds_each,
    SUM(CASE WHEN w.lane IN ('audit', 'groups') THEN 1 ELSE 0 END) AS n_for_the_audit
FROM (
    SELECT
        s.annotator,
        s.annotator_role,
        s.day,
        s.retracted,
        s.seconds,
        s.lane,
        (
            1461 * (s.y + 4800 + (s.m - 14) / 12) / 4
            + 367 * (s.m - 2 - (s.m - 14) / 12 * 12) / 12
            - 3 * ((s.y + 4900 + (s.m - 14) / 12) / 100) / 4
            + s.d - 32075
        ) / 7 AS week_no
    FROM (
        SELECT
            a.annotator,
            a.annotator_role,
            a.retracted,
            CAST(a.seconds AS FLOAT) AS seconds,
            a.lane,
            SUBSTRING(CAST(a.server_time AS VARCHAR(30)), 1, 10) AS day,
            CAST(SUBSTRING(CAST(a.server_time AS VARCHAR(30)), 1, 4) AS INTEGER) AS y,
            CAST(SUBSTRING(CAST(a.server_time AS VARCHAR(30)), 6, 2) AS INTEGER) AS m,
            CAST(SUBSTRING(CAST(a.server_time AS VARCHAR(30)), 9, 2) AS INTEGER) AS d
        FROM v_label_audit AS a
        WHERE a.kind <> 'retract'
    ) AS s
) AS w
GROUP BY w.annotator, w.annotator_role, w.week_no
ORDER BY first_day, w.annotator
