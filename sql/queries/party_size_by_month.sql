-- How large were parties, month by month?
--
-- One row: a month.
--
-- Parameters:
--   group_rule text = day: what a party is; 'day' all at one camera on one day, or 'video' all in one video
--
-- Topic: company
-- Chart: line mean_named by month
--
-- Nameless tracks are counted beside the named individuals, for an animal may have several.
SELECT
    SUBSTRING(CAST(g.recorded_on AS VARCHAR(10)), 1, 7) AS month,
    COUNT(*) AS n_parties,
    AVG(CAST(g.n_known AS FLOAT)) AS mean_named,
    MAX(g.n_known) AS largest_named,
    AVG(CAST(g.n_unknown AS FLOAT)) AS mean_nameless_tracks
FROM v_group AS g
WHERE g.group_rule = :group_rule AND g.group_rule <> 'frame' AND g.recorded_on IS NOT NULL
GROUP BY SUBSTRING(CAST(g.recorded_on AS VARCHAR(10)), 1, 7)
ORDER BY month
