-- Tracks that have a name. One row: a live track, of a video that is in the archive, of which somebody knows who it is.
-- A person's answer first (source 'person', probability 1); else whom two people agree on who were asked "is this X?"
-- (source 'volunteers'); else the champion head's first rank (source 'model'), unless the head finds the animal unknown to
-- it or people said that it is not that individual. A model never overrules a person.
-- Who was merged into another is the other, whether a person or a model said the old name.
-- Retired videos are listed once, not looked up for each track: an individual may have 100,000.
-- Three exclusive parts, so that a condition on the individual reaches an index in each.
SELECT
    t.track_id,
    t.video_id,
    i.individual_id,
    i.anim_id,
    'person' AS source,
    CAST(1.0 AS FLOAT) AS probability,
    e.annotation_id,
    CAST(NULL AS BIGINT) AS model_id
FROM standing_answer AS e
INNER JOIN track AS t ON t.track_id = e.track_id
INNER JOIN individual AS said ON said.individual_id = e.individual_id
INNER JOIN individual AS i
    ON
        (i.individual_id = said.individual_id AND said.same_as_id IS NULL)
        OR i.individual_id = said.same_as_id
WHERE
    e.kind IN ('identify', 'new_individual')
    AND t.state = 'live'
    AND t.video_id NOT IN (SELECT v.video_id FROM video AS v WHERE v.state = 'retired')
UNION ALL
SELECT
    t.track_id,
    t.video_id,
    i.individual_id,
    i.anim_id,
    'volunteers' AS source,
    CAST(a.probability AS FLOAT) AS probability,
    CAST(NULL AS VARCHAR(36)) AS annotation_id,
    CAST(NULL AS BIGINT) AS model_id
FROM track_evidence AS a
INNER JOIN track AS t ON t.track_id = a.track_id
INNER JOIN individual AS i ON i.individual_id = a.individual_id
WHERE
    a.state = 'agreed'
    AND t.state = 'live'
    AND t.video_id NOT IN (SELECT v.video_id FROM video AS v WHERE v.state = 'retired')
    AND NOT EXISTS (SELECT 1 FROM standing_answer AS e WHERE e.track_id = a.track_id)
UNION ALL
SELECT
    t.track_id,
    t.video_id,
    i.individual_id,
    i.anim_id,
    'model' AS source,
    CAST(p.probability AS FLOAT) AS probability,
    CAST(NULL AS VARCHAR(36)) AS annotation_id,
    p.model_id
FROM prediction AS p
INNER JOIN model AS m ON m.model_id = p.model_id
INNER JOIN track AS t ON t.track_id = p.track_id
INNER JOIN individual AS said ON said.individual_id = p.individual_id
INNER JOIN individual AS i
    ON
        (i.individual_id = said.individual_id AND said.same_as_id IS NULL)
        OR i.individual_id = said.same_as_id
WHERE
    p.rank = 1
    AND m.task = 'head'
    AND m.state = 'champion'
    AND t.state = 'live'
    AND t.video_id NOT IN (SELECT v.video_id FROM video AS v WHERE v.state = 'retired')
    AND NOT EXISTS (
        SELECT 1
        FROM track_score AS s
        WHERE s.model_id = p.model_id AND s.track_id = p.track_id AND CAST(s.is_unknown AS INTEGER) = 1
    )
    AND NOT EXISTS (SELECT 1 FROM standing_answer AS e WHERE e.track_id = p.track_id)
    AND NOT EXISTS (
        SELECT 1
        FROM track_evidence AS d
        WHERE
            d.track_id = p.track_id
            AND (d.state = 'agreed' OR (d.state = 'denied' AND d.individual_id = i.individual_id))
    )
