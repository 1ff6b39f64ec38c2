-- Does the champion head confuse kin more often than others?
--
-- Its answers to the audit, by how the two are related by the mother. One row: a relation.
--
-- Parameters: none
--
-- Topic: trust
-- Chart: bar n_answers by relation
--
-- relation 'same': it was right.
SELECT
    c.relation,
    SUM(c.n) AS n_answers,
    COUNT(*) AS n_pairs,
    COUNT(DISTINCT c.true_id) AS n_individuals
FROM v_confusion_kin AS c
GROUP BY c.relation
ORDER BY n_answers DESC, c.relation
