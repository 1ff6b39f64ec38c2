-- How does the size of parties change with the season?
--
-- One row: a month of the year, all years together.
--
-- Parameters:
--   group_rule text = day: what a party is; 'day' all at one camera on one day, or 'video' all in one video
--
-- Topic: company
-- Chart: line mean_named by month_of_year
--
-- n_years: years that have parties in this month; with one of them the season cannot be told from the year.
SELECT
    p.month_of_year,
    COUNT(*) AS n_parties,
    COUNT(DISTINCT p.year) AS n_years,
    AVG(CAST(p.n_known AS FLOAT)) AS mean_named,
    MAX(p.n_known) AS largest_named,
    AVG(CAST(CASE WHEN p.n_known + p.n_unknown = 1 THEN 1 ELSE 0 END AS FLOAT)) AS share_alone
FROM (
    SELECT
        SUBSTRING(CAST(g.recorded_on AS VARCHAR(10)), 6, 2) AS month_of_year,
        SUBSTRING(CAST(g.recorded_on AS VARCHAR(10)), 1, 4) AS year,
        g.n_known,
        g.n_unknown
    FROM v_group AS g
    WHERE g.group_rule = :group_rule AND g.group_rule <> 'frame' AND g.recorded_on IS NOT NULL
) AS p
GROUP BY p.month_of_year
ORDER BY p.month_of_year
