-- Are mothers and children, or children of one mother, together more than others, by the sexes of the two?
--
-- One row: a kinship by the mother and the sexes of two individuals.
--
-- Parameters:
--   group_rule text = video: together means 'moment' at the same moment, 'video' in one video, 'day' at one camera that day
--
-- Topic: families
-- Chart: bar mean_sri by sexes for relation
--
-- n_pairs: pairs of which at least one was seen while both were alive and under study. mean_sri: each pair counts once, however
-- little it was seen; pooled_sri: each day counts once.
SELECT
    p.relation,
    p.sexes,
    COUNT(*) AS n_pairs,
    SUM(CASE WHEN p.x > 0 THEN 1 ELSE 0 END) AS n_met,
    AVG(p.sri) AS mean_sri,
    CAST(SUM(p.x) AS FLOAT) / SUM(p.units) AS pooled_sri
FROM (
    SELECT
        CASE
            WHEN a.mom_id = b.individual_id OR b.mom_id = a.individual_id THEN 'mother_offspring'
            WHEN a.mom_id = b.mom_id THEN 'maternal_siblings'
            ELSE 'other'
        END AS relation,
        CASE
            WHEN a.sex = 'F' AND b.sex = 'F' THEN 'FF'
            WHEN a.sex = 'M' AND b.sex = 'M' THEN 'MM'
            WHEN a.sex IN ('F', 'M') AND b.sex IN ('F', 'M') THEN 'FM'
            ELSE 'unknown'
        END AS sexes,
        d.x,
        d.sri_denominator AS units,
        d.sri
    FROM v_dyad AS d
    INNER JOIN v_individual_day AS a ON a.individual_id = d.individual_a
    INNER JOIN v_individual_day AS b ON b.individual_id = d.individual_b
    WHERE d.group_rule = :group_rule AND d.period_kind = 'all' AND d.sri IS NOT NULL
) AS p
GROUP BY p.relation, p.sexes
ORDER BY p.relation, p.sexes
