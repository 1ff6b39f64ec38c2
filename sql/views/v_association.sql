-- How closely two individuals are associated, with the errors of names taken out, as last counted. One row: a rule, a period
-- and two individuals (individual_a < individual_b) that were together at least once.
-- group_rule 'moment' or 'video', as in v_dyad; period_kind 'year' or 'all'. x of n: days together, of days on which at least
-- one was seen while both were alive and under study; sri = x / n, by the names as they are.
-- corrected_sri, low, high: with the misclassification of the audit taken out, 95 in 100 over blocks of days and its answers; null
-- where the audit says too little. is_real: 1 where low is above 0. Counted nightly: watermark_seq says up to which decision.
SELECT
    e.group_rule,
    e.period_kind,
    e.period,
    e.individual_a,
    a.anim_id AS anim_id_a,
    a.name AS name_a,
    e.individual_b,
    b.anim_id AS anim_id_b,
    b.name AS name_b,
    e.x,
    e.n,
    e.sri,
    e.corrected_sri,
    e.low,
    e.high,
    CAST(e.is_real AS INTEGER) AS is_real,
    e.head_model_id,
    e.watermark_seq,
    e.counted_at
FROM association_edge AS e
INNER JOIN individual AS a ON a.individual_id = e.individual_a
INNER JOIN individual AS b ON b.individual_id = e.individual_b
