-- What is promised about the names of this archive, and where it stands. One row: a promise that was not withdrawn.
-- error: largest share of the named frames that may carry a wrong name; named: least share of all frames with a name.
-- state: to_reach (nothing was frozen yet), auditing (a fresh sample is being asked), kept (it holds), failed, ended.
-- A promise is about names as they were at frozen_at. It has ended as soon as another head is champion, individuals were
-- merged or parted, or the head has named tracks that were not there: end_reason says which, ended_at since when, as far
-- as that is known. error_bound: upper limit of the error by the sample, at the confidence of its look.
-- n_passed: draws that nobody could judge, which count neither way.
SELECT
    goal.promise_id,
    goal.error,
    goal.named,
    goal.confidence,
    COALESCE(CASE WHEN l.state = 'kept' AND l.why IS NOT NULL THEN 'ended' ELSE l.state END, 'to_reach') AS state,
    l.look_id,
    l.look_no,
    l.frozen_at,
    l.decided_at,
    COALESCE(l.ended_at, CASE WHEN l.state = 'kept' AND l.why = 'individuals were merged or parted' THEN l.merged_at
        WHEN l.state = 'kept' AND l.why = 'the head has named tracks that were not there' THEN l.scored_at
    END) AS ended_at,
    COALESCE(l.end_reason, CASE WHEN l.state = 'kept' THEN l.why END) AS end_reason,
    l.head_model_id,
    l.threshold,
    l.named_share,
    l.tested_share,
    l.expected_error,
    l.n_answered,
    l.n_wrong,
    (SELECT COUNT(*) FROM promise_draw AS drawn WHERE drawn.look_id = l.look_id AND drawn.annotation_id IS NOT NULL AND drawn.wrong IS NULL)
        AS n_passed,
    l.error_bound,
    l.watermark_seq
FROM promise AS goal
LEFT OUTER JOIN (
    SELECT
        k.*,
        CASE
            WHEN k.is_champion = 0 THEN 'another head names the archive'
            WHEN k.merged_at IS NOT NULL THEN 'individuals were merged or parted'
            WHEN k.scored_at IS NOT NULL THEN 'the head has named tracks that were not there'
        END AS why
    FROM (
        SELECT
            o.*,
            CASE WHEN m.state = 'champion' THEN 1 ELSE 0 END AS is_champion,
            (SELECT MIN(g.at) FROM individual_merge AS g WHERE g.merge_id > o.merge_watermark) AS merged_at,
            (
                SELECT MIN(s.created_at)
                FROM bundle_score AS s
                WHERE s.model_id = o.head_model_id AND s.created_at > o.frozen_at AND s.n_tracks > 0
            ) AS scored_at
        FROM promise_look AS o
        INNER JOIN model AS m ON m.model_id = o.head_model_id
        WHERE o.look_id IN (SELECT MAX(n.look_id) FROM promise_look AS n GROUP BY n.promise_id)
    ) AS k
) AS l ON l.promise_id = goal.promise_id
WHERE goal.withdrawn_at IS NULL
