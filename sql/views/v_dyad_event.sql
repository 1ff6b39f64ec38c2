-- For Bayesian edge models (bisonR, STRAND): one row for each two individuals (individual_a < individual_b), sampling unit
-- and rule. The unit is a day on which at least one of them was seen while both were alive and under study.
-- group_rule: together is 1 where both were 'moment' visible at the same moment, 'video' in one video, 'day' in the party of
-- one camera. seconds_together counts what was at the same moment, whatever the rule.
-- p_joint: that both names are right, of the best pair (null where they never met); p_a, p_b: of the best sighting of each.
-- Covariates: sex and age of each, their kinship by the mother, whether one community had both (null: not known), and the
-- seconds of video of the day.
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
        CASE WHEN d.seen_a = 1 THEN d.p_a END AS p_a,
        CASE WHEN d.seen_b = 1 THEN d.p_b END AS p_b,
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
        (
            SELECT MIN(ma.comm_id)
            FROM v_membership_day AS ma
            WHERE ma.individual_id = d.individual_a AND d.day >= ma.start_day AND d.day <= ma.end_day
        ) AS comm_a,
        (
            SELECT MIN(mb.comm_id)
            FROM v_membership_day AS mb
            WHERE mb.individual_id = d.individual_b AND d.day >= mb.start_day AND d.day <= mb.end_day
        ) AS comm_b,
        s.recorded_s
    FROM v_dyad_day AS d
    INNER JOIN v_individual_day AS a ON a.individual_id = d.individual_a
    INNER JOIN v_individual_day AS b ON b.individual_id = d.individual_b
    INNER JOIN v_sampling_day AS s ON s.day = d.day
    CROSS JOIN (
        SELECT 'moment' AS group_rule
        UNION ALL
        SELECT 'video' AS group_rule
        UNION ALL
        SELECT 'day' AS group_rule
    ) AS k
) AS e
