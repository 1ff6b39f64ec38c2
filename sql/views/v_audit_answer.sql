-- What the champion head says of the tracks that the audit lane drew at random, beside what people say of them. One row: a
-- live track that the audit lane asked (itself or the one whose place it took), that a person named or called unknown, and that the head has scored.
-- true_id: null where people do not know it either; predicted_id: null where the head finds the animal unknown to it.
-- correct: 1 where both name the same individual.
SELECT
    q.model_id,
    q.track_id,
    q.video_id,
    q.true_id,
    q.predicted_id,
    q.probability,
    CASE WHEN q.predicted_id = q.true_id THEN 1 ELSE 0 END AS correct
FROM (
    SELECT
        m.model_id,
        e.track_id,
        t.video_id,
        CASE WHEN e.kind = 'unknown' THEN NULL ELSE e.individual_id END AS true_id,
        COALESCE(i.same_as_id, p.individual_id) AS predicted_id,
        CAST(p.probability AS FLOAT) AS probability
    FROM v_effective_answer AS e
    INNER JOIN track AS t ON t.track_id = e.track_id
    INNER JOIN video AS v ON v.video_id = t.video_id
    INNER JOIN model AS m ON m.task = 'head' AND m.state = 'champion'
    INNER JOIN track_score AS s ON s.model_id = m.model_id AND s.track_id = e.track_id
    LEFT OUTER JOIN prediction AS p
        ON p.model_id = m.model_id AND p.track_id = e.track_id AND p.rank = 1 AND CAST(s.is_unknown AS INTEGER) = 0
    LEFT OUTER JOIN individual AS i ON i.individual_id = p.individual_id
    WHERE
        e.kind IN ('identify', 'new_individual', 'unknown')
        AND t.state = 'live'
        AND v.state <> 'retired'
        AND (
            EXISTS (
                SELECT 1
                FROM annotation AS asked
                WHERE asked.track_id = e.track_id AND asked.lane = 'audit'
            )
            OR EXISTS (
                SELECT 1
                FROM annotation AS said
                INNER JOIN annotation AS asked ON asked.track_id = said.track_id AND asked.lane = 'audit'
                WHERE said.annotation_id = e.annotation_id
            )
        )
) AS q
