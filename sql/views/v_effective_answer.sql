-- The answer that stands for each answered track. One row: a track.
-- Retracted answers and those about a pair of tracks do not count; of the others the best role wins (expert; admin and
-- reviewer; others), then the newest: standing_answer, kept by the transaction that stores a decision.
-- individual_id is who that individual is after merges; said_individual_id is whom the person named (indexed: v_named_track
-- joins by it).
SELECT
    s.track_id,
    s.annotation_id,
    s.seq,
    s.kind,
    COALESCE(said.same_as_id, s.individual_id) AS individual_id,
    s.lane,
    s.annotator_id,
    s.propensity,
    s.individual_id AS said_individual_id
FROM standing_answer AS s
LEFT OUTER JOIN individual AS said ON said.individual_id = s.individual_id
