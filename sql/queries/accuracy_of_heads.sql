-- How has the accuracy of the heads changed over time?
--
-- Each head on the audit when it was last measured. One row: a head.
--
-- Parameters:
--   metric text = top1: 'top1', 'top5', 'macro', 'unknown_auroc' or 'ece'
--
-- Topic: trust
-- Chart: line value by head
SELECT
    m.version AS head,
    m.state,
    m.created_at,
    s.n_tracks AS n_training_tracks,
    e.value,
    e.ci_low,
    e.ci_high,
    e.n AS n_audit
FROM model AS m
INNER JOIN evaluation_metric AS e
    ON e.model_id = m.model_id AND e.dataset = 'audit' AND e.slice_kind = 'all' AND e.name = :metric
LEFT OUTER JOIN training_set AS s ON s.training_set_id = m.training_set_id
WHERE
    m.task = 'head'
    AND e.n > 0
    AND NOT EXISTS (
        SELECT 1
        FROM evaluation_metric AS later
        WHERE
            later.model_id = e.model_id
            AND later.dataset = e.dataset
            AND later.slice_kind = e.slice_kind
            AND later.slice_value = e.slice_value
            AND later.name = e.name
            AND later.watermark_seq > e.watermark_seq
    )
ORDER BY m.version
