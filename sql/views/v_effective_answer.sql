-- The answer that stands for each answered track. One row: a track.
-- Retracted answers and those about a pair of tracks do not count; of the others the best role wins (expert; admin and
-- reviewer; others), then the newest.
-- individual_id is who that individual is after merges; said_individual_id is whom the person named (indexed: v_named_track
-- joins by it).
-- NOT EXISTS rather than a window: a condition on the individual or the track reaches the index.
SELECT
    a.track_id,
    a.annotation_id,
    a.seq,
    a.kind,
    COALESCE(said.same_as_id, a.individual_id) AS individual_id,
    a.lane,
    a.annotator_id,
    a.propensity,
    a.individual_id AS said_individual_id
FROM annotation AS a
LEFT OUTER JOIN individual AS said ON said.individual_id = a.individual_id
WHERE
    a.kind IN ('identify', 'unknown', 'new_individual', 'not_animal', 'bad_box', 'cannot_tell')
    AND (a.kind <> 'cannot_tell' OR a.other_track_id IS NULL)
    AND NOT EXISTS (
        SELECT 1
        FROM annotation AS r
        WHERE r.supersedes = a.annotation_id AND r.kind = 'retract'
    )
    AND NOT EXISTS (
        SELECT 1
        FROM annotation AS b
        INNER JOIN app_user AS bu ON bu.user_id = b.annotator_id
        INNER JOIN app_user AS u ON u.user_id = a.annotator_id
        WHERE
            b.track_id = a.track_id
            AND b.seq <> a.seq
            AND b.kind IN ('identify', 'unknown', 'new_individual', 'not_animal', 'bad_box', 'cannot_tell')
            AND (b.kind <> 'cannot_tell' OR b.other_track_id IS NULL)
            AND (
                CASE WHEN bu.role = 'expert' THEN 0 WHEN bu.role IN ('admin', 'reviewer') THEN 1 ELSE 2 END
                < CASE WHEN u.role = 'expert' THEN 0 WHEN u.role IN ('admin', 'reviewer') THEN 1 ELSE 2 END
                OR (
                    CASE WHEN bu.role = 'expert' THEN 0 WHEN bu.role IN ('admin', 'reviewer') THEN 1 ELSE 2 END
                    = CASE WHEN u.role = 'expert' THEN 0 WHEN u.role IN ('admin', 'reviewer') THEN 1 ELSE 2 END
                    AND b.seq > a.seq
                )
            )
            AND NOT EXISTS (
                SELECT 1
                FROM annotation AS br
                WHERE br.supersedes = b.annotation_id AND br.kind = 'retract'
            )
    )
