-- Who was seen in which video, and for how long. One row: an individual in a video.
-- first_s and last_s count seconds from the first picture; the moment of day is recorded_at (UTC) plus these.
-- Probabilities are weighed by boxes. seconds_visible: frames with the animal, each standing for the mean time between kept frames of its video.
SELECT
    s.individual_id,
    s.anim_id,
    s.video_id,
    v.uri,
    v.site,
    v.camera,
    v.recorded_at,
    s.first_s,
    s.last_s,
    s.n_frames * CASE
        WHEN v.n_frames > 1 THEN (last_frame.time_s - first_frame.time_s) / (v.n_frames - 1)
        ELSE v.duration_s
    END AS seconds_visible,
    s.n_tracks,
    s.n_frames,
    s.min_probability,
    s.mean_probability,
    s.human_reviewed
FROM (
    SELECT
        n.individual_id,
        n.anim_id,
        n.video_id,
        MIN(f.time_s) AS first_s,
        MAX(f.time_s) AS last_s,
        COUNT(DISTINCT n.track_id) AS n_tracks,
        COUNT(DISTINCT d.frame_no) AS n_frames,
        MIN(n.probability) AS min_probability,
        AVG(n.probability) AS mean_probability,
        MAX(CASE WHEN n.source = 'person' THEN 1 ELSE 0 END) AS human_reviewed
    FROM v_named_track AS n
    INNER JOIN detection AS d ON d.track_id = n.track_id
    INNER JOIN frame AS f ON f.video_id = n.video_id AND f.frame_no = d.frame_no
    GROUP BY n.individual_id, n.anim_id, n.video_id
) AS s
INNER JOIN video AS v ON v.video_id = s.video_id
LEFT OUTER JOIN frame AS first_frame ON first_frame.video_id = v.video_id AND first_frame.frame_no = 0
LEFT OUTER JOIN frame AS last_frame ON last_frame.video_id = v.video_id AND last_frame.frame_no = v.n_frames - 1
