-- Where is the champion head least sure who it is?
--
-- One row: a track that no person has answered, the smallest margin between its two best names first.
--
-- Parameters:
--   limit integer = 10: at most this many rows
--
-- Topic: trust
SELECT
    unsure.place,
    unsure.margin,
    unsure.entropy,
    unsure.novelty,
    i1.anim_id AS best_name,
    p1.probability AS best_probability,
    i2.anim_id AS second_name,
    p2.probability AS second_probability,
    v.uri,
    t.first_s,
    t.last_s,
    unsure.track_id
FROM (
    SELECT
        s.model_id,
        s.track_id,
        s.margin,
        s.entropy,
        s.novelty,
        ROW_NUMBER() OVER (ORDER BY s.margin, s.track_id) AS place
    FROM model AS m
    INNER JOIN track_score AS s ON s.model_id = m.model_id
    INNER JOIN track AS live ON live.track_id = s.track_id
    WHERE
        m.task = 'head'
        AND m.state = 'champion'
        AND live.state = 'live'
        AND NOT EXISTS (
            SELECT 1
            FROM v_effective_answer AS e
            WHERE e.track_id = s.track_id
        )
) AS unsure
INNER JOIN track AS t ON t.track_id = unsure.track_id
INNER JOIN video AS v ON v.video_id = t.video_id
LEFT OUTER JOIN prediction AS p1
    ON p1.model_id = unsure.model_id AND p1.track_id = unsure.track_id AND p1.rank = 1
LEFT OUTER JOIN individual AS i1 ON i1.individual_id = p1.individual_id
LEFT OUTER JOIN prediction AS p2
    ON p2.model_id = unsure.model_id AND p2.track_id = unsure.track_id AND p2.rank = 2
LEFT OUTER JOIN individual AS i2 ON i2.individual_id = p2.individual_id
WHERE unsure.place <= :limit
ORDER BY unsure.place
