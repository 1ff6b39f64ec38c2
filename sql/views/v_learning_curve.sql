-- How accuracy rose with labels, as asked and as it would have risen at random. One row: a head, a policy and a number of
-- labels. policy: 'real' (training labels in the order in which they were given) or 'random' (as many audit labels, which
-- were drawn at random); accuracy: share of audit tracks that a linear head trained on that many labels names correctly, on
-- the embedding of that head; _low and _high: 95 in 100, a bootstrap over audit tracks. Only the newest measurement of each
-- head.
SELECT
    m.model_id,
    CASE WHEN e.slice_kind = 'real_curve' THEN 'real' ELSE 'random' END AS policy,
    e.n AS n_labels,
    e.value AS accuracy,
    e.ci_low AS accuracy_low,
    e.ci_high AS accuracy_high,
    m.watermark_seq
FROM (
    SELECT model_id, MAX(watermark_seq) AS watermark_seq
    FROM evaluation_metric
    WHERE dataset = 'returns'
    GROUP BY model_id
) AS m
INNER JOIN evaluation_metric AS e
    ON e.model_id = m.model_id AND e.watermark_seq = m.watermark_seq AND e.dataset = 'returns'
WHERE e.slice_kind IN ('real_curve', 'random_curve')
