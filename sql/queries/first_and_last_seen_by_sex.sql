-- How many females and males were seen for the first time, and how many for the last time, each year?
--
-- One row: a year and a sex. Who is seen last in the archive's last months may well come back: see last_seen.
--
-- Parameters: none
--
-- Topic: presence
-- Chart: bar n_first_seen by year for sex
SELECT
    u.year,
    u.sex,
    SUM(u.is_first) AS n_first_seen,
    SUM(1 - u.is_first) AS n_last_seen
FROM (
    SELECT
        SUBSTRING(CASE side.is_first WHEN 1 THEN l.first_seen ELSE l.last_seen END, 1, 4) AS year,
        l.sex,
        side.is_first
    FROM v_dispersal_last_seen AS l
    CROSS JOIN (
        SELECT 0 AS is_first
        UNION ALL
        SELECT 1 AS is_first
    ) AS side
    WHERE l.last_seen IS NOT NULL
) AS u
GROUP BY u.year, u.sex
ORDER BY u.year, u.sex
