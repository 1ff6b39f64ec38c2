-- From which probability on a name of the champion head counts as one. One row.
-- The threshold of the promise that holds (v_promise), else 0.9, with look_id null.
SELECT
    COALESCE(MAX(k.threshold), CAST(0.9 AS FLOAT)) AS probability,
    MAX(k.look_id) AS look_id,
    MAX(k.frozen_at) AS frozen_at
FROM v_promise AS k
WHERE k.state = 'kept'
