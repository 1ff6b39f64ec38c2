-- Where each animal is in each frame, and who it is. One row: a box of a live track.
-- time_s counts from the first picture of the video; recorded_at (UTC) is the video's beginning; boxes are fractions of
-- the displayed picture. individual_id is null where nobody knows.
SELECT
    ti.video_id,
    d.frame_no,
    f.time_s,
    v.recorded_at,
    d.track_id,
    ti.individual_id,
    ti.anim_id,
    ti.source,
    ti.status,
    ti.probability,
    d.x,
    d.y,
    d.w,
    d.h
FROM v_track_identity AS ti
INNER JOIN detection AS d ON d.track_id = ti.track_id
INNER JOIN frame AS f ON f.video_id = d.video_id AND f.frame_no = d.frame_no
INNER JOIN video AS v ON v.video_id = ti.video_id
