-- Animals that the champion head does not know, as far as their tracks look alike: candidates for new individuals, and for a
-- second look at whom the head should have known. One row: a cluster of such tracks that nobody has named yet.
-- best_track_id: the track most like the others, to show first; likeness: the mean cosine to the middle of the cluster.
SELECT
    u.model_id,
    u.cluster_no,
    COUNT(*) AS n_tracks,
    COUNT(DISTINCT t.video_id) AS n_videos,
    COUNT(DISTINCT v.recorded_on) AS n_days,
    MIN(v.recorded_on) AS first_day,
    MAX(v.recorded_on) AS last_day,
    AVG(CAST(u.likeness AS FLOAT)) AS likeness,
    MIN(CASE WHEN u.likeness = b.likeness THEN u.track_id END) AS best_track_id
FROM unknown_track AS u
INNER JOIN model AS m ON m.model_id = u.model_id AND m.task = 'head' AND m.state = 'champion'
INNER JOIN track AS t ON t.track_id = u.track_id AND t.state = 'live'
INNER JOIN video AS v ON v.video_id = t.video_id AND v.state <> 'retired'
INNER JOIN (
    SELECT
        w.model_id,
        w.cluster_no,
        MAX(w.likeness) AS likeness
    FROM unknown_track AS w
    GROUP BY w.model_id, w.cluster_no
) AS b ON b.model_id = u.model_id AND b.cluster_no = u.cluster_no
LEFT OUTER JOIN v_effective_answer AS e ON e.track_id = u.track_id AND e.kind <> 'unknown'
WHERE e.track_id IS NULL
GROUP BY u.model_id, u.cluster_no
