-- How each head treats groups of animals, cameras and times, when it was last measured. One row: a head, a group, a metric.
-- slice_kind: 'all', 'individual', 'sex', 'age_class', 'matriline', 'camera', 'light', 'year', 'length', 'labels', 'sex_age',
-- 'camera_light'. metric: recall and precision (as in v_id_quality), said_minus_right (mean probability less the share that is
-- right), unknown_rate (animals known to the head that it calls unknown), seconds (of an answer, geometric mean),
-- association_bias (by how much indices with all others come out too small; an approximation).
-- low, high: 95 in 100 for all groups of the kind together, of days to come (n_days camera-days count as independent).
-- verdict: 'worse' or 'better' than all others beyond chance (adjusted_p, of all groups of the report together), 'same', or
-- 'too_few' answers to say, of which n_needed more would tell a gap of 20 points.
SELECT
    f.model_id,
    m.version,
    m.state AS model_state,
    f.slice_kind,
    f.slice_value,
    f.name AS metric,
    f.value,
    f.low,
    f.high,
    f.adjusted_p,
    f.n AS n_answers,
    f.blocks AS n_days,
    f.state AS verdict,
    f.needed AS n_needed,
    f.watermark_seq
FROM (
    SELECT
        w.model_id,
        MAX(w.watermark_seq) AS watermark_seq
    FROM fairness_metric AS w
    GROUP BY w.model_id
) AS newest
INNER JOIN fairness_metric AS f ON f.model_id = newest.model_id AND f.watermark_seq = newest.watermark_seq
INNER JOIN model AS m ON m.model_id = f.model_id
