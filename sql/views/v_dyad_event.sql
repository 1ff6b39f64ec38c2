-- For Bayesian edge models (bisonR, STRAND): one row for each two individuals (individual_a < individual_b), sampling unit
-- and rule. The unit is a day on which at least one of them was seen while both were alive and under study.
-- group_rule: together is 1 where both were 'moment' visible at the same moment, 'video' in one video, 'day' in the party of
-- one camera. seconds_together counts what was at the same moment, whatever the rule.
-- p_joint: that both names are right, of the best pair (null where they never met); p_a, p_b: of the best sighting of each.
-- Covariates: sex and age of each, their kinship by the mother, whether one community had both (null: not known), and the
-- seconds of video of the day. Who was in one community only is not looked up for each row: `lives` has that one.
-- A row for each day and two individuals is many: ask for individuals or days, or read them as they come.
WITH lives AS MATERIALIZED (
    SELECT
        i.individual_id,
        i.sex,
        i.mom_id,
        i.born_day_no,
        c.n_communities,
        c.comm_id,
        c.start_day,
        c.end_day
    FROM v_individual_day AS i
    LEFT OUTER JOIN (
        SELECT
            m.individual_id,
            COUNT(*) AS n_communities,
            MIN(m.comm_id) AS comm_id,
            MIN(m.start_day) AS start_day,
            MAX(m.end_day) AS end_day
        FROM v_membership_day AS m
        GROUP BY m.individual_id
    ) AS c ON c.individual_id = i.individual_id
),
sampling AS MATERIALIZED (
    SELECT
        d.day,
        d.recorded_s
    FROM v_sampling_day AS d
)
SELECT
    e.group_rule,
    e.day AS unit,
    e.day_no,
    e.month,
    e.individual_a,
    e.anim_id_a,
    e.individual_b,
    e.anim_id_b,
    e.together,
    CASE WHEN e.together = 1 THEN e.seconds_at_once ELSE CAST(0 AS FLOAT) END AS seconds_together,
    CASE WHEN e.together = 1 THEN e.p_joint END AS p_joint,
    e.seen_a,
    e.seen_b,
    e.p_a,
    e.p_b,
    e.sex_a,
    e.sex_b,
    e.age_y_a,
    e.age_y_b,
    e.relation,
    CASE
        WHEN e.comm_a IS NULL OR e.comm_b IS NULL THEN NULL
        WHEN e.comm_a = e.comm_b THEN 1
        ELSE 0
    END AS same_community,
    e.recorded_s
FROM (
    SELECT
        k.group_rule,
        d.day,
        d.day_no,
        d.month,
        d.individual_a,
        d.anim_id_a,
        d.individual_b,
        d.anim_id_b,
        CASE k.group_rule WHEN 'moment' THEN d.at_once WHEN 'video' THEN d.in_video ELSE d.in_party END AS together,
        d.seconds_at_once,
        d.p_joint,
        d.p_a,
        d.p_b,
        d.seen_a,
        d.seen_b,
        a.sex AS sex_a,
        b.sex AS sex_b,
        (d.day_no - a.born_day_no) / CAST(365.25 AS FLOAT) AS age_y_a,
        (d.day_no - b.born_day_no) / CAST(365.25 AS FLOAT) AS age_y_b,
        CASE
            WHEN a.mom_id = b.individual_id OR b.mom_id = a.individual_id THEN 'mother_offspring'
            WHEN a.mom_id = b.mom_id THEN 'maternal_siblings'
            ELSE 'other'
        END AS relation,
        CASE
            WHEN a.n_communities = 1 AND d.day >= a.start_day AND d.day <= a.end_day THEN a.comm_id
            WHEN a.n_communities > 1
                THEN (
                    SELECT MIN(ma.comm_id)
                    FROM v_membership_day AS ma
                    WHERE ma.individual_id = d.individual_a AND d.day >= ma.start_day AND d.day <= ma.end_day
                )
        END AS comm_a,
        CASE
            WHEN b.n_communities = 1 AND d.day >= b.start_day AND d.day <= b.end_day THEN b.comm_id
            WHEN b.n_communities > 1
                THEN (
                    SELECT MIN(mb.comm_id)
                    FROM v_membership_day AS mb
                    WHERE mb.individual_id = d.individual_b AND d.day >= mb.start_day AND d.day <= mb.end_day
                )
        END AS comm_b,
        s.recorded_s
    FROM v_dyad_day AS d
    LEFT OUTER JOIN lives AS a ON a.individual_id = d.individual_a
    LEFT OUTER JOIN lives AS b ON b.individual_id = d.individual_b
    LEFT OUTER JOIN sampling AS s ON s.day = d.day
    CROSS JOIN (
        SELECT 'moment' AS group_rule
        UNION ALL
        SELECT 'video' AS group_rule
        UNION ALL
        SELECT 'day' AS group_rule
    ) AS k
) AS e
