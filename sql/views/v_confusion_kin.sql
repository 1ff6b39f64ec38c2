-- Whom the champion head takes for whom, and whether they are kin by the mother: kin look alike. One row: a true individual
-- and the name the head gave to audit tracks of it (true_id = predicted_id: it was right).
-- relation: 'same', 'mother_offspring', 'maternal_siblings', 'same_matriline', 'other'; maternal_kin: 1 for the three in the
-- middle. n_true: audit tracks of the true individual, named by the head or not.
SELECT
    g.true_id,
    t.anim_id AS true_anim_id,
    g.predicted_id,
    p.anim_id AS predicted_anim_id,
    g.n,
    g.n_true,
    CASE
        WHEN g.true_id = g.predicted_id THEN 'same'
        WHEN t.mom_id = g.predicted_id OR p.mom_id = g.true_id THEN 'mother_offspring'
        WHEN t.mom_id = p.mom_id THEN 'maternal_siblings'
        WHEN lt.founder_id = lp.founder_id THEN 'same_matriline'
        ELSE 'other'
    END AS relation,
    CASE
        WHEN g.true_id = g.predicted_id THEN 0
        WHEN t.mom_id = g.predicted_id OR p.mom_id = g.true_id THEN 1
        WHEN t.mom_id = p.mom_id THEN 1
        WHEN lt.founder_id = lp.founder_id THEN 1
        ELSE 0
    END AS maternal_kin
FROM (
    SELECT
        a.true_id,
        a.predicted_id,
        COUNT(*) AS n,
        MAX(b.n_true) AS n_true
    FROM v_audit_answer AS a
    INNER JOIN (
        SELECT
            x.true_id,
            COUNT(*) AS n_true
        FROM v_audit_answer AS x
        WHERE x.true_id IS NOT NULL
        GROUP BY x.true_id
    ) AS b ON b.true_id = a.true_id
    WHERE a.predicted_id IS NOT NULL
    GROUP BY a.true_id, a.predicted_id
) AS g
INNER JOIN v_individual_day AS t ON t.individual_id = g.true_id
INNER JOIN v_individual_day AS p ON p.individual_id = g.predicted_id
LEFT OUTER JOIN v_matriline AS lt ON lt.individual_id = g.true_id
LEFT OUTER JOIN v_matriline AS lp ON lp.individual_id = g.predicted_id
