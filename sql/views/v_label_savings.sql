-- What the labels bought, measured on the audit. One row: a head that was champion, at its newest measurement.
-- accuracy (share of audit tracks named rightly) was reached with n_labels labels, audit ones included, and expert_minutes;
-- random_labels: labels that asking at random would have needed for it, with the limits of 95 in 100; null: it would not
-- have reached it at all (random_labels, random_labels_high). label_ratio = n_labels / random_labels: below 1 is a saving.
-- The random policy is given the embedding that the real one paid for, so that the saving is understated.
SELECT
    m.model_id,
    m.watermark_seq,
    m.accuracy,
    m.accuracy_low,
    m.accuracy_high,
    m.n_labels,
    m.expert_minutes,
    CASE WHEN m.random_labels < 1e9 THEN m.random_labels END AS random_labels,
    m.random_labels_low,
    CASE WHEN m.random_labels_high < 1e9 THEN m.random_labels_high END AS random_labels_high,
    CASE WHEN m.random_labels < 1e9 AND m.random_labels > 0 THEN m.n_labels / m.random_labels END AS label_ratio
FROM (
    SELECT
        e.model_id,
        e.watermark_seq,
        MAX(CASE WHEN e.name = 'accuracy' THEN e.value END) AS accuracy,
        MAX(CASE WHEN e.name = 'accuracy' THEN e.ci_low END) AS accuracy_low,
        MAX(CASE WHEN e.name = 'accuracy' THEN e.ci_high END) AS accuracy_high,
        MAX(CASE WHEN e.name = 'labels' THEN e.value END) AS n_labels,
        MAX(CASE WHEN e.name = 'minutes' THEN e.value END) AS expert_minutes,
        MAX(CASE WHEN e.name = 'random_labels' THEN e.value END) AS random_labels,
        MAX(CASE WHEN e.name = 'random_labels' THEN e.ci_low END) AS random_labels_low,
        MAX(CASE WHEN e.name = 'random_labels' THEN e.ci_high END) AS random_labels_high
    FROM evaluation_metric AS e
    INNER JOIN (
        SELECT model_id, MAX(watermark_seq) AS watermark_seq
        FROM evaluation_metric
        WHERE dataset = 'returns'
        GROUP BY model_id
    ) AS newest
        ON newest.model_id = e.model_id AND newest.watermark_seq = e.watermark_seq
    WHERE e.dataset = 'returns' AND e.slice_kind = 'all'
    GROUP BY e.model_id, e.watermark_seq
) AS m
WHERE m.n_labels IS NOT NULL
