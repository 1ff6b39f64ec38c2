-- Whom has nobody labelled enough?
--
-- One row: an individual with fewer training tracks than wanted, the fewest first.
--
-- Parameters:
--   enough integer = 10: this many training tracks are enough
--
-- Topic: trust
-- Chart: bar n_train_tracks by anim_id
SELECT
    q.slice_value AS anim_id,
    i.name,
    i.sex,
    q.n_train_tracks,
    q.n_audit,
    q.id_recall,
    q.id_recall_low,
    q.id_recall_high
FROM v_id_quality AS q
INNER JOIN individual AS i ON i.anim_id = q.slice_value
WHERE q.slice_kind = 'individual' AND q.n_train_tracks < :enough
ORDER BY q.n_train_tracks, q.slice_value
