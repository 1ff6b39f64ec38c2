-- Every decision of every person: who, when, what, why asked, and whether it still stands. One row: an event.
-- effective: 1 where it is the answer that stands for its track, or for one in its place. retracted: 1 where somebody took it back.
SELECT
    a.seq,
    a.annotation_id,
    a.kind,
    a.track_id,
    a.other_track_id,
    COALESCE(a.video_id, t.video_id) AS video_id,
    v.uri,
    a.frame_no,
    a.individual_id,
    i.anim_id,
    u.name AS annotator,
    u.role AS annotator_role,
    a.lane,
    a.propensity,
    a.item_id,
    a.shown,
    a.note,
    a.seconds,
    a.client_time,
    a.server_time,
    a.supersedes,
    CASE WHEN r.annotation_id IS NULL THEN 0 ELSE 1 END AS retracted,
    r.annotation_id AS retracted_by_annotation,
    ru.name AS retracted_by,
    r.server_time AS retracted_at,
    CASE WHEN EXISTS (SELECT 1 FROM standing_answer AS e WHERE e.annotation_id = a.annotation_id) THEN 1 ELSE 0 END AS effective
FROM annotation AS a
INNER JOIN app_user AS u ON u.user_id = a.annotator_id
LEFT OUTER JOIN track AS t ON t.track_id = a.track_id
LEFT OUTER JOIN video AS v ON v.video_id = COALESCE(a.video_id, t.video_id)
LEFT OUTER JOIN individual AS i ON i.individual_id = a.individual_id
LEFT OUTER JOIN annotation AS r ON r.supersedes = a.annotation_id AND r.kind = 'retract'
LEFT OUTER JOIN app_user AS ru ON ru.user_id = r.annotator_id
