-- Animals that the champion head does not know, as far as their tracks look alike: candidates for new individuals, and for a
-- second look at whom the head should have known. One row: a cluster of such tracks that nobody has named yet.
-- best_track_id: of these the track most like the others, to show first; likeness: the mean cosine to the middle of the cluster.
SELECT
    n.model_id,
    n.cluster_no,
    COUNT(*) AS n_tracks,
    COUNT(DISTINCT n.video_id) AS n_videos,
    COUNT(DISTINCT n.recorded_on) AS n_days,
    MIN(n.recorded_on) AS first_day,
    MAX(n.recorded_on) AS last_day,
    AVG(CAST(n.likeness AS FLOAT)) AS likeness,
    MIN(CASE WHEN n.nth = 1 THEN n.track_id END) AS best_track_id
FROM (
    SELECT
        u.model_id,
        u.cluster_no,
        u.track_id,
        u.likeness,
        t.video_id,
        v.recorded_on,
        ROW_NUMBER() OVER (PARTITION BY u.model_id, u.cluster_no ORDER BY u.likeness DESC, u.track_id) AS nth
    FROM unknown_track AS u
    INNER JOIN model AS m ON m.model_id = u.model_id AND m.task = 'head' AND m.state = 'champion'
    INNER JOIN track AS t ON t.track_id = u.track_id AND t.state = 'live'
    INNER JOIN video AS v ON v.video_id = t.video_id AND v.state <> 'retired'
    LEFT OUTER JOIN v_effective_answer AS e ON e.track_id = u.track_id AND e.kind <> 'unknown'
    WHERE e.track_id IS NULL
) AS n
GROUP BY n.model_id, n.cluster_no
