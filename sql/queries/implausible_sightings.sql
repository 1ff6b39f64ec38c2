-- Which names cannot be right, or need a second look?
--
-- One row: a problem; those that people named come last, because their labels are checked one by one.
--
-- Parameters:
--   problem text = null: one kind of problem, as it is spelt in v_plausibility; null: all
--   limit integer = 20: at most this many rows
--
-- Topic: trust
SELECT
    ranked.place,
    ranked.problem,
    ranked.anim_id,
    ranked.other_anim_id,
    ranked.day,
    ranked.camera,
    ranked.source,
    ranked.probability,
    ranked.off_by,
    ranked.off_unit,
    ranked.track_id,
    ranked.look_at
FROM (
    SELECT
        p.*,
        ROW_NUMBER() OVER (
            ORDER BY
                CASE WHEN p.source = 'model' THEN 0 ELSE 1 END,
                p.problem,
                p.probability DESC,
                p.track_id,
                p.other_individual_id,
                p.other_track_id
        ) AS place
    FROM v_plausibility AS p
    WHERE CAST(:problem AS VARCHAR(60)) IS NULL OR p.problem = CAST(:problem AS VARCHAR(60))
) AS ranked
WHERE ranked.place <= :limit
ORDER BY ranked.place
