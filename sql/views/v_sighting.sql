-- Who was seen in which video, and for how long. One row: an individual in a video.
-- first_s and last_s count seconds from the first picture; the moment of day is recorded_at (UTC) plus these.
-- n_frames: frames with the animal, by its tracks; where two of its tracks run at once (a label to look at: v_plausibility)
-- never more than there are from the first to the last. seconds_visible: each frame stands for the mean time between the
-- kept frames of its video. Probabilities are weighed by boxes.
-- counts: 1 where people named one of its tracks, or the most probable name reaches v_name_threshold, else 0.9; else 0.
-- Windows rather than GROUP BY: SQLite passes a condition on the individual, the video, the day or the camera through them
-- down to an index, and not through GROUP BY.
SELECT
    s.individual_id,
    s.anim_id,
    s.video_id,
    s.uri,
    s.site,
    s.camera,
    s.recorded_at,
    s.recorded_on,
    s.first_s,
    s.last_s,
    CASE WHEN s.n_boxes < s.span THEN s.n_boxes ELSE s.span END * s.frame_s AS seconds_visible,
    s.n_tracks,
    CASE WHEN s.n_boxes < s.span THEN s.n_boxes ELSE s.span END AS n_frames,
    s.min_probability,
    s.mean_probability,
    s.human_reviewed,
    CASE
        WHEN s.named_by_people = 1 THEN 1
        WHEN s.max_probability >= COALESCE((SELECT MAX(h.probability) FROM v_name_threshold AS h), CAST(0.9 AS FLOAT)) THEN 1
        ELSE 0
    END AS counts
FROM (
    SELECT
        n.individual_id,
        n.anim_id,
        n.video_id,
        n.track_id,
        v.uri,
        v.site,
        v.camera,
        v.recorded_at,
        v.recorded_on,
        COALESCE(v.frame_s, v.duration_s) AS frame_s,
        MIN(n.track_id) OVER (PARTITION BY n.individual_id, n.anim_id, n.video_id, v.site, v.camera, v.recorded_on) AS first_track_id,
        MIN(t.first_s) OVER (PARTITION BY n.individual_id, n.anim_id, n.video_id, v.site, v.camera, v.recorded_on) AS first_s,
        MAX(t.last_s) OVER (PARTITION BY n.individual_id, n.anim_id, n.video_id, v.site, v.camera, v.recorded_on) AS last_s,
        COUNT(*) OVER (PARTITION BY n.individual_id, n.anim_id, n.video_id, v.site, v.camera, v.recorded_on) AS n_tracks,
        SUM(t.n_detections) OVER (PARTITION BY n.individual_id, n.anim_id, n.video_id, v.site, v.camera, v.recorded_on) AS n_boxes,
        MAX(t.last_frame_no) OVER (PARTITION BY n.individual_id, n.anim_id, n.video_id, v.site, v.camera, v.recorded_on)
        - MIN(t.first_frame_no) OVER (PARTITION BY n.individual_id, n.anim_id, n.video_id, v.site, v.camera, v.recorded_on) + 1 AS span,
        MIN(n.probability) OVER (PARTITION BY n.individual_id, n.anim_id, n.video_id, v.site, v.camera, v.recorded_on) AS min_probability,
        SUM(n.probability * t.n_detections) OVER (PARTITION BY n.individual_id, n.anim_id, n.video_id, v.site, v.camera, v.recorded_on)
        / SUM(t.n_detections) OVER (PARTITION BY n.individual_id, n.anim_id, n.video_id, v.site, v.camera, v.recorded_on) AS mean_probability,
        MAX(CASE WHEN n.source = 'person' THEN 1 ELSE 0 END) OVER (PARTITION BY n.individual_id, n.anim_id, n.video_id, v.site, v.camera, v.recorded_on)
            AS human_reviewed,
        MAX(CASE WHEN n.source = 'model' THEN 0 ELSE 1 END) OVER (PARTITION BY n.individual_id, n.anim_id, n.video_id, v.site, v.camera, v.recorded_on)
            AS named_by_people,
        MAX(n.probability) OVER (PARTITION BY n.individual_id, n.anim_id, n.video_id, v.site, v.camera, v.recorded_on) AS max_probability
    FROM v_named_track AS n
    INNER JOIN track AS t ON t.track_id = n.track_id
    INNER JOIN video AS v ON v.video_id = n.video_id
) AS s
WHERE s.track_id = s.first_track_id
