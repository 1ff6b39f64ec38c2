-- How many females and males make up a party?
--
-- One row: a composition of parties, the commonest first.
--
-- Parameters:
--   group_rule text = video: what a party is; 'video' all in one video, or 'day' all at one camera on one day
--
-- Topic: company
SELECT
    p.n_females,
    p.n_males,
    p.n_sex_unknown,
    COUNT(*) AS n_parties,
    SUM(p.seconds) AS animal_seconds
FROM (
    SELECT
        g.group_id,
        SUM(CASE WHEN i.sex = 'F' THEN 1 ELSE 0 END) AS n_females,
        SUM(CASE WHEN i.sex = 'M' THEN 1 ELSE 0 END) AS n_males,
        SUM(CASE WHEN i.sex = 'U' THEN 1 ELSE 0 END) AS n_sex_unknown,
        SUM(g.seconds) AS seconds
    FROM v_gbi AS g
    INNER JOIN individual AS i ON i.individual_id = g.individual_id
    WHERE g.group_rule = :group_rule AND g.group_rule <> 'frame'
    GROUP BY g.group_id
) AS p
GROUP BY p.n_females, p.n_males, p.n_sex_unknown
ORDER BY n_parties DESC, p.n_females, p.n_males
