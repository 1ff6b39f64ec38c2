-- Who was in which group: the gambit of the group, one row for each individual in a group (asnipe's matrix, long).
-- group_rule 'video': all in one video (group_id: its video_id); 'day': the party of one camera on one day (group_id: the
-- smallest video_id of that day); 'frame': all in one frame (group_id: video_id * 4194304 + frame_no; reads boxes, so ask
-- for some videos or individuals). v_group has the same groups with their times.
-- seconds: how long the individual is visible in the group. probability: mean of its tracks, weighed by boxes.
SELECT
    'video' AS group_rule,
    s.video_id AS group_id,
    s.individual_id,
    s.anim_id,
    s.video_id,
    s.site,
    s.camera,
    s.recorded_on,
    s.seconds_visible AS seconds,
    s.mean_probability AS probability,
    s.human_reviewed
FROM v_sighting AS s
UNION ALL
SELECT
    'day' AS group_rule,
    p.party_id AS group_id,
    p.individual_id,
    p.anim_id,
    CAST(NULL AS BIGINT) AS video_id,
    p.site,
    p.camera,
    p.recorded_on,
    p.seconds,
    p.probability,
    p.human_reviewed
FROM v_party_member AS p
UNION ALL
SELECT
    'frame' AS group_rule,
    d.video_id * 4194304 + d.frame_no AS group_id,
    n.individual_id,
    n.anim_id,
    d.video_id,
    v.site,
    v.camera,
    v.recorded_on,
    MIN(COALESCE(v.frame_s, v.duration_s)) AS seconds,
    MAX(n.probability) AS probability,
    MAX(CASE WHEN n.source = 'person' THEN 1 ELSE 0 END) AS human_reviewed
FROM v_named_track AS n
INNER JOIN detection AS d ON d.track_id = n.track_id
INNER JOIN video AS v ON v.video_id = n.video_id
GROUP BY d.video_id, d.frame_no, n.individual_id, n.anim_id, v.site, v.camera, v.recorded_on
