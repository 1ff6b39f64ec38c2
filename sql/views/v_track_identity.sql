-- Who each track is, as far as anybody knows. One row: a live track of a video that is in the archive.
-- A person's answer first (source 'person', probability 1); else the champion head's first rank (source 'model'),
-- unless the head finds the animal unknown to it; else nobody. A model never overrules a person.
-- Three exclusive parts, so that a condition on the individual reaches an index in each.
SELECT
    t.track_id,
    t.video_id,
    e.individual_id,
    i.anim_id,
    'person' AS source,
    CASE
        WHEN e.kind IN ('identify', 'new_individual') THEN 'identified'
        WHEN e.kind = 'unknown' THEN 'unknown'
        WHEN e.kind = 'not_animal' THEN 'not_animal'
        WHEN e.kind = 'bad_box' THEN 'bad_box'
        ELSE 'cannot_tell'
    END AS status,
    CAST(1.0 AS FLOAT) AS probability,
    e.annotation_id,
    CAST(NULL AS BIGINT) AS model_id
FROM v_effective_answer AS e
INNER JOIN track AS t ON t.track_id = e.track_id
INNER JOIN video AS v ON v.video_id = t.video_id
LEFT OUTER JOIN individual AS i ON i.individual_id = e.individual_id
WHERE t.state = 'live' AND v.state <> 'retired'
UNION ALL
SELECT
    t.track_id,
    t.video_id,
    p.individual_id,
    i.anim_id,
    'model' AS source,
    'identified' AS status,
    CAST(p.probability AS FLOAT) AS probability,
    CAST(NULL AS VARCHAR(36)) AS annotation_id,
    p.model_id
FROM prediction AS p
INNER JOIN model AS m ON m.model_id = p.model_id
INNER JOIN track AS t ON t.track_id = p.track_id
INNER JOIN video AS v ON v.video_id = t.video_id
INNER JOIN individual AS i ON i.individual_id = p.individual_id
WHERE
    p.rank = 1
    AND m.task = 'head'
    AND m.state = 'champion'
    AND t.state = 'live'
    AND v.state <> 'retired'
    AND NOT EXISTS (
        SELECT 1
        FROM track_score AS s
        WHERE s.model_id = p.model_id AND s.track_id = p.track_id AND CAST(s.is_unknown AS INTEGER) = 1
    )
    AND NOT EXISTS (SELECT 1 FROM v_effective_answer AS e WHERE e.track_id = p.track_id)
UNION ALL
SELECT
    t.track_id,
    t.video_id,
    CAST(NULL AS BIGINT) AS individual_id,
    CAST(NULL AS VARCHAR(40)) AS anim_id,
    CASE WHEN s.track_id IS NULL THEN CAST(NULL AS VARCHAR(6)) ELSE 'model' END AS source,
    CASE WHEN s.track_id IS NULL THEN 'unlabelled' ELSE 'unknown' END AS status,
    CAST(NULL AS FLOAT) AS probability,
    CAST(NULL AS VARCHAR(36)) AS annotation_id,
    s.model_id
FROM track AS t
INNER JOIN video AS v ON v.video_id = t.video_id
LEFT OUTER JOIN (
    SELECT
        ts.track_id,
        ts.model_id
    FROM track_score AS ts
    INNER JOIN model AS m ON m.model_id = ts.model_id
    WHERE m.task = 'head' AND m.state = 'champion' AND CAST(ts.is_unknown AS INTEGER) = 1
) AS s ON s.track_id = t.track_id
WHERE
    t.state = 'live'
    AND v.state <> 'retired'
    AND NOT EXISTS (SELECT 1 FROM v_effective_answer AS e WHERE e.track_id = t.track_id)
    AND (
        s.track_id IS NOT NULL
        OR NOT EXISTS (
            SELECT 1
            FROM prediction AS p
            INNER JOIN model AS m ON m.model_id = p.model_id
            WHERE p.track_id = t.track_id AND p.rank = 1 AND m.task = 'head' AND m.state = 'champion'
        )
    )
