-- Who each track is, as far as anybody knows. One row: a live track of a video that is in the archive.
-- Named tracks as in v_named_track; then what people said without a name; then what nobody has named: animals that the
-- champion head finds unknown to it (source 'model', status 'unknown') and tracks nobody has looked at ('unlabelled').
SELECT
    n.track_id,
    n.video_id,
    n.individual_id,
    n.anim_id,
    n.source,
    'identified' AS status,
    n.probability,
    n.annotation_id,
    n.model_id
FROM v_named_track AS n
UNION ALL
SELECT
    t.track_id,
    t.video_id,
    CAST(NULL AS BIGINT) AS individual_id,
    CAST(NULL AS VARCHAR(40)) AS anim_id,
    'person' AS source,
    e.kind AS status,
    CAST(1.0 AS FLOAT) AS probability,
    e.annotation_id,
    CAST(NULL AS BIGINT) AS model_id
FROM standing_answer AS e
INNER JOIN track AS t ON t.track_id = e.track_id
INNER JOIN video AS v ON v.video_id = t.video_id
WHERE
    e.kind IN ('unknown', 'not_animal', 'bad_box', 'cannot_tell')
    AND t.state = 'live'
    AND v.state <> 'retired'
UNION ALL
SELECT
    t.track_id,
    t.video_id,
    CAST(NULL AS BIGINT) AS individual_id,
    CAST(NULL AS VARCHAR(40)) AS anim_id,
    CASE WHEN s.track_id IS NULL THEN CAST(NULL AS VARCHAR(10)) ELSE 'model' END AS source,
    CASE WHEN s.track_id IS NULL THEN 'unlabelled' ELSE 'unknown' END AS status,
    CAST(NULL AS FLOAT) AS probability,
    CAST(NULL AS VARCHAR(36)) AS annotation_id,
    s.model_id
FROM track AS t
INNER JOIN video AS v ON v.video_id = t.video_id
LEFT OUTER JOIN model AS m ON m.task = 'head' AND m.state = 'champion'
LEFT OUTER JOIN track_score AS s
    ON s.model_id = m.model_id AND s.track_id = t.track_id AND CAST(s.is_unknown AS INTEGER) = 1
WHERE
    t.state = 'live'
    AND v.state <> 'retired'
    AND NOT EXISTS (SELECT 1 FROM standing_answer AS e WHERE e.track_id = t.track_id)
    AND NOT EXISTS (SELECT 1 FROM track_evidence AS a WHERE a.track_id = t.track_id AND a.state = 'agreed')
    AND (
        s.track_id IS NOT NULL
        OR NOT EXISTS (
            SELECT 1
            FROM prediction AS p
            WHERE
                p.model_id = m.model_id
                AND p.track_id = t.track_id
                AND p.rank = 1
                AND NOT EXISTS (
                    SELECT 1
                    FROM track_evidence AS d
                    INNER JOIN individual AS said ON said.individual_id = p.individual_id
                    WHERE
                        d.track_id = p.track_id
                        AND d.individual_id = COALESCE(said.same_as_id, said.individual_id)
                        AND d.state = 'denied'
                )
        )
    )
